from hypothesis import given
from hypothesis import strategies as st

from bridge.text.shield import Shield, breakable

WORDS = ("Yahoo! Inc", "a.b", "好。坏", "plain")


def masked(*pieces: str, formulas: bool = True, words: tuple[str, ...] = WORDS) -> str:
    shield = Shield(formulas=formulas, words=breakable(words))
    return "".join([shield.push(piece) for piece in pieces]) + shield.flush()


def test_a_formula_is_hidden_behind_letters() -> None:
    assert masked("a $x. 1$ b") == "a xxxxxx b"
    assert masked("a $x. 1$ b", formulas=False) == "a $x. 1$ b"


def test_a_word_hides_only_what_might_end_a_sentence() -> None:
    assert masked("My Yahoo! Inc. a.b!") == "My Yahoo__Inc. a_b!"
    assert masked("Yahoo! In") == "Yahoo! In"


def test_text_is_held_back_while_it_may_begin_something() -> None:
    shield = Shield(formulas=True, words=breakable(("好。坏",)))

    assert shield.push("很好。") == "很"
    assert shield.push("坏$x") == "好_坏"
    assert shield.push("$") == ""
    assert shield.push("。") == "xxx。"
    assert shield.push("好") == ""
    assert shield.flush() == "好"


def test_a_sign_behind_a_number_is_a_price_even_if_it_comes_later() -> None:
    shield = Shield(formulas=True)

    assert shield.push("5") + shield.push("$-6$。") == "5$-6$。"


def test_nothing_is_held_back_where_there_is_nothing_to_hide() -> None:
    shield = Shield(formulas=False, words=breakable(("plain",)))

    assert shield.push("$pla") == "$pla"


def test_the_longest_word_is_hidden() -> None:
    assert masked("a.b.c", words=("a.b", "a.b.c")) == "a_b_c"
    assert masked("a.b.d", words=("a.b", "a.b.c")) == "a_b.d"


@given(st.text(alphabet="Yaho! Inc.$x1好。坏b\\", max_size=60), st.integers(1, 7))
def test_a_mask_is_as_long_as_the_text_and_the_same_for_its_pieces(text: str, size: int) -> None:
    pieces = [text[start : start + size] for start in range(0, len(text), size)]

    assert len(masked(text)) == len(text)
    assert masked(*pieces) == masked(text)

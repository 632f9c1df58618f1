from hypothesis import given
from hypothesis import strategies as st

from bridge.text.lexicon import Lexicon

WORDS = st.lists(st.text(alphabet="ab.", min_size=1, max_size=4), max_size=6)


def test_the_longest_word_is_found_wherever_one_begins() -> None:
    lexicon = Lexicon(["a", "ab", "abcd", "天气"])

    assert list(lexicon.find("xabcaabcd好天气")) == [(1, 3), (4, 5), (5, 9), (10, 12)]


def test_no_words_are_found_nowhere() -> None:
    assert list(Lexicon().find("abc")) == []
    assert Lexicon().starts().search("abc") is None
    assert not Lexicon().may_go_on("", 0)


def test_other_signs_can_be_looked_for_together_with_the_words() -> None:
    starts = Lexicon(["]a", "^"]).starts("$-")

    assert [found.start() for found in starts.finditer("a]$-^b")] == [1, 2, 3, 4]


@given(WORDS, st.text(alphabet="ab.", min_size=1, max_size=6))
def test_what_may_go_on_is_the_beginning_of_a_longer_word(words: list[str], text: str) -> None:
    lexicon = Lexicon(words)

    for begin in range(len(text)):
        rest = text[begin:]
        longest = max((len(word) for word in words if rest.startswith(word)), default=0)
        assert lexicon.may_go_on(text, begin) == any(word.startswith(rest) and word != rest for word in words)
        assert lexicon.end_at(text, begin) == begin + longest

import pytest

from bridge.text.passage import Break, Item, Pronunciation, Say, Sentence, Sound, Spoken
from bridge.ttsserver.pieces import CLAUSE_PAUSE_MS, SENTENCE_PAUSE_MS, Piece, pieces_of

LONG = (
    "Thank you for calling the bridge today, your appointment is confirmed for Tuesday, the fourteenth of "
    "March, at ten thirty in the morning, and we will send you a message on the day before."
)


def pieces(*items: Item | str, is_first: bool = True, rate: float = 1.0) -> list[Piece]:
    said = tuple(Say(Spoken.plain(item)) if isinstance(item, str) else item for item in items)
    return pieces_of(Sentence("", said), breath=(72, 140), rate=rate, is_first=is_first)


def texts(found: list[Piece]) -> list[str]:
    return [piece.spoken.text for piece in found if piece.spoken is not None]


def test_a_short_sentence_is_one_piece() -> None:
    (piece,) = pieces("Hello, and welcome to the bridge.")

    assert piece == Piece(0.0, Spoken.plain("Hello, and welcome to the bridge."))


def test_a_long_sentence_is_cut_where_one_breathes_and_nothing_is_lost() -> None:
    found = pieces(LONG)

    assert "".join(texts(found)) == LONG
    assert texts(found)[0] == "Thank you for calling the bridge today, "
    assert [piece.pause_ms for piece in found] == [0.0, *[CLAUSE_PAUSE_MS] * (len(found) - 1)]


def test_each_piece_knows_where_it_was_written() -> None:
    for piece in pieces(LONG):
        assert piece.spoken is not None
        begin, end = piece.spoken.source(0, len(piece.spoken))
        assert LONG[begin:end] == piece.spoken.text


@pytest.mark.parametrize("sentence", ["no comma in it " * 30, "x" * 500])
def test_no_piece_is_long_even_without_a_comma(sentence: str) -> None:
    found = texts(pieces(sentence))

    assert "".join(found) == sentence
    assert max(map(len, found)) <= 140


def test_a_sentence_pause_stands_before_every_sentence_but_the_first() -> None:
    assert pieces("One.")[0].pause_ms == 0
    assert pieces("One.", is_first=False)[0].pause_ms == SENTENCE_PAUSE_MS
    assert pieces("One.", is_first=False, rate=2.0)[0].pause_ms == SENTENCE_PAUSE_MS / 2


def test_a_break_lasts_as_long_as_it_says_whatever_the_rate() -> None:
    found = pieces("One", Break(700), "two.", rate=2.0)

    assert texts(found) == ["One", "two."]
    assert sum(piece.pause_ms for piece in found) == 700


def test_a_break_in_front_of_a_sentence_is_its_pause() -> None:
    assert [piece.pause_ms for piece in pieces(Break(700), "Two.", is_first=False)] == [700, 0]


def test_a_sound_stands_at_its_place() -> None:
    found = pieces("One", Sound("ding.wav"), "two.")

    assert [piece.src or "words" for piece in found] == ["words", "ding.wav", "words"]


def test_a_word_whose_sounds_are_given_is_never_cut() -> None:
    text = "x" * 135 + "y" * 10 + "z" * 100
    given = Pronunciation(135, 145, "cmu", "Y UW1")

    found = pieces(Say(Spoken.plain(text), (given,)))

    assert "".join(texts(found)) == text
    (carrier,) = [piece for piece in found if piece.pronunciations]
    assert carrier.spoken is not None
    (moved,) = carrier.pronunciations
    assert carrier.spoken.text[moved.begin : moved.end] == "y" * 10


def test_nothing_makes_no_pieces() -> None:
    assert pieces() == []
    assert pieces("") == []

import time

import pytest

from bridge.cosyvoice.seam import find_seam
from bridge.ports import WordTime

RATE = 1000
"""One sample is one millisecond."""

WORDS = [WordTime("one", 0, 3, 50, 150), WordTime("two", 4, 7, 180, 300)]


def sound(samples: int, *, start: int = 0) -> bytes:
    """Each sample tells where it is."""
    return b"".join(value.to_bytes(2, "little") for value in range(start, start + samples))


def silence(samples: int) -> bytes:
    return bytes(2 * samples)


FIRST = silence(100) + sound(150, start=1000)
"""What was received: a pause before the sentence, then some of it."""
OTHER = sound(2000, start=20_000)


def seam(held: bytes, words: list[WordTime] | None = WORDS, first: bytes = FIRST) -> int | None:
    return find_seam(held, tail=first, skip=len(first) // 2, rate=RATE, words=words)


def test_nothing_is_decided_before_as_much_has_come_again() -> None:
    assert seam(FIRST[:-2]) is None


def test_the_same_sound_goes_on_where_it_broke() -> None:
    assert seam(FIRST) == 250
    assert seam(FIRST + OTHER) == 250


@pytest.mark.parametrize("pause", [0, 40, 99, 101, 300])
def test_the_same_sound_is_found_when_the_pause_before_it_is_another(pause: int) -> None:
    spoken = sound(150, start=1000)
    held = silence(pause) + spoken + OTHER

    found = find_seam(held, tail=spoken[-200:], skip=250, rate=RATE, words=None)

    assert found == pause + 150


def test_sound_that_occurs_twice_goes_on_behind_the_nearer() -> None:
    cry = sound(30, start=500)
    held = cry + silence(300) + cry + silence(300)

    # It was received up to the sample 340: the second ends at 360, the first at 30.
    assert find_seam(held, tail=cry, skip=340, rate=RATE, words=None) == 360


def test_other_sound_goes_on_at_the_word_that_was_broken_once_it_was_looked_for_long_enough() -> None:
    assert seam(OTHER[: 2 * 749]) is None

    assert seam(OTHER[: 2 * 750]) == 180


def test_in_a_pause_between_words_it_goes_on_where_it_was() -> None:
    first = OTHER[2000:2330]

    assert seam(OTHER, [WordTime("one", 0, 3, 50, 150), WordTime("two", 4, 7, 170, 300)], first) == 165


def test_a_word_that_begins_before_the_sound_begins_with_it() -> None:
    assert seam(OTHER, [WordTime("one", 0, 3, -40, 300)]) == 0


def test_without_word_times_it_goes_on_at_the_place() -> None:
    assert seam(OTHER, None) == 250


def test_word_times_are_waited_for_no_longer_than_three_seconds_of_sound() -> None:
    assert seam(sound(3250, start=20_000), []) is None

    assert seam(sound(3251, start=20_000), []) == 250


def test_where_only_silence_was_received_the_sentence_is_heard_whole() -> None:
    assert seam(OTHER[:500], first=silence(100)) == 0


def test_silence_in_the_middle_is_looked_for_nowhere_else() -> None:
    held = sound(500, start=5) + silence(500) + OTHER

    assert find_seam(held, tail=silence(100), skip=400, rate=RATE, words=None) == 400


def test_a_blink_of_sound_is_looked_for_nowhere_else() -> None:
    blink = sound(5, start=700)

    assert find_seam(OTHER[:100] + blink + OTHER, tail=blink, skip=10, rate=RATE, words=None) == 10


def test_half_samples_are_no_place() -> None:
    tail = b"\x01\x02" * 30
    held = b"\x09" + tail + OTHER

    assert find_seam(held, tail=tail, skip=40, rate=RATE, words=None) == 40


def test_sound_made_to_be_searched_for_long_is_not() -> None:
    rate = 48_000
    tail = b"\x02" + b"\x01" * (rate - 1)
    held = b"\x01" * 4 * rate
    began_s = time.process_time()

    for turned in (tail, tail[::-1]):
        assert find_seam(held, tail=turned, skip=rate, rate=rate, words=None) == rate

    assert time.process_time() - began_s < 1

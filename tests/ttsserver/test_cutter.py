import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ttsserver.cutter import Cutter, Segment
from bridge.ttsserver.whisper import HEAR_HZ
from tests.ttsserver.ears import silence, voice


def spans(segments: list[Segment]) -> list[tuple[int, int]]:
    return [(segment.begin_ms, segment.end_ms) for segment in segments]


def test_speech_is_cut_where_the_speaker_pauses() -> None:
    cutter = Cutter(HEAR_HZ)
    sound = np.concatenate((silence(1000), voice(1500), silence(2000), voice(500), silence(100)))

    found = cutter.push(sound)
    assert spans(found) == [(700, 3300)]
    assert len(found[0].samples) == 2600 * HEAR_HZ // 1000
    assert cutter.open_ms == 900
    rest = cutter.flush()

    assert spans(rest) == [(4200, 5100)]
    assert cutter.flush() == []
    assert cutter.open_ms == 0


def test_a_breath_is_no_pause() -> None:
    cutter = Cutter(HEAR_HZ)

    assert cutter.push(np.concatenate((voice(500), silence(780), voice(500)))) == []
    assert spans(cutter.flush()) == [(0, 1780)]


def test_a_speaker_is_loud_or_soft_and_never_as_soft_as_the_line() -> None:
    hiss = np.random.default_rng(1).normal(0, 60, 5 * HEAR_HZ).astype(np.int16)
    soft = voice(600, level=300)

    assert Cutter(HEAR_HZ).push(hiss) == []
    assert spans(Cutter(HEAR_HZ).push(np.concatenate((hiss, soft, hiss)))) == [(4700, 6400)]
    # Over a voice that is loud, the same softness is the room behind it.
    assert spans(Cutter(HEAR_HZ).push(np.concatenate((voice(500, 20000), soft, soft)))) == [(0, 1300)]


def test_who_never_pauses_is_cut_all_the_same() -> None:
    found = Cutter(HEAR_HZ).push(voice(60_000))

    assert spans(found) == [(0, 28_000), (28_000, 56_000)]


def test_what_goes_on_can_be_looked_at() -> None:
    cutter = Cutter(HEAR_HZ)
    assert cutter.look() is None
    cutter.push(np.concatenate((silence(5000), voice(400))))

    segment = cutter.look()

    assert segment is not None
    assert spans([segment]) == [(4700, 5400)]
    assert cutter.open_ms == 700


@pytest.mark.parametrize("rate", [HEAR_HZ])
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3000)), max_size=8), st.data())
def test_however_sound_arrives_it_is_cut_in_the_same_places(
    rate: int, stretches: list[tuple[bool, int]], data: st.DataObject
) -> None:
    sound = np.concatenate([silence(0), *(voice(ms) if loud else silence(ms) for loud, ms in stretches)])
    whole, pieces = Cutter(rate), Cutter(rate)
    found = whole.push(sound) + whole.flush()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sound)), max_size=6)))

    torn = [segment for piece in np.split(sound, cuts) for segment in pieces.push(piece)] + pieces.flush()

    assert spans(torn) == spans(found)
    assert all(end <= begin for (_, end), (begin, _) in zip(spans(found), spans(found)[1:], strict=False))

import numpy as np
import pytest

from bridge.engine.codecs import make_codec
from tests.bench.survival_streams import Stream
from tests.bench.survival_tones import CYCLE, MOST_LEGS, opus_spec, read_opus, speak_tones
from tests.fakes import MS

FRAME = 480


def encoded(pcm: np.ndarray, *, cut: int = 0) -> Stream:
    """What arrives of it; from frame `cut` on another encoder made it, two numbers later."""
    _, encoder = make_codec(opus_spec())
    payloads = []
    for at, frame in enumerate(pcm.reshape(-1, FRAME)):
        if cut and at == cut:
            _, encoder = make_codec(opus_spec())
        payloads.append(encoder.encode(frame))
    numbers = np.arange(len(payloads))
    numbers[cut:] += 2 * bool(cut)
    table = np.zeros((len(payloads), 512), np.uint8)
    for row, payload in zip(table, payloads, strict=True):
        row[: len(payload)] = np.frombuffer(payload, np.uint8)
    lengths = np.array([len(payload) for payload in payloads])
    return Stream(numbers * 20 * MS, 65_500 + numbers & 0xFFFF, numbers * 960, table, lengths)


@pytest.mark.parametrize("leg", [0, 19, MOST_LEGS - 1])
def test_every_frame_that_is_decoded_tells_its_call_and_its_place(leg: int) -> None:
    said = read_opus(encoded(speak_tones(leg, 0, 100)))

    # The coder finds its voice; the last frame ends in a packet that never comes.
    assert said.legs[3:-1].tolist() == [leg] * 96
    assert said.frames[3:-1].tolist() == [at % CYCLE for at in range(3, 99)]


def test_another_coder_takes_over_and_only_the_frames_beside_the_gap_are_blurred() -> None:
    said = read_opus(encoded(speak_tones(7, 0, 100), cut=50))

    named = np.flatnonzero(said.legs == 7)
    assert set(range(3, 99)) - set(named.tolist()) <= {49, 50, 51}
    assert (said.frames[named] == named % CYCLE).all()


def test_sound_of_another_call_is_seen_and_silence_says_nothing() -> None:
    pcm = np.concatenate((speak_tones(3, 0, 40), speak_tones(4, 40, 40), np.zeros(40 * FRAME, np.int16)))

    said = read_opus(encoded(pcm))

    assert set(said.legs[3:39].tolist()) == {3}
    assert set(said.legs[43:79].tolist()) == {4}
    assert set(said.legs[83:].tolist()) == {-1}

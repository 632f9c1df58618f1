import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.engine.verdict import Judge, Network, Verdict, is_available, silero
from bridge.plane.columns import Columns
from bridge.plane.floor import DUCKED
from bridge.plane.shape import Shape
from tests.plane.rig import hiss, slam, speech_sentence

ROWS = 260


def columns() -> Columns:
    made = Columns(bytearray(Columns.size_bytes(ROWS)), ROWS)
    made.generation[:] = np.arange(ROWS) + 1
    made.sensitivity[:] = 1
    made.floor_state[:] = DUCKED
    return made


def echoing(
    sound: NDArray[np.float32], state: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A network that finds speech where samples are positive, and counts its windows in the state."""
    return (sound[:, 40] > 0).astype(np.float32), state + 1


def hear(memory: Columns, row: int, pcm: NDArray[np.int16]) -> None:
    begin = int(memory.capture_write[row])
    memory.capture[row, 0, (begin + np.arange(len(pcm))) % memory.capture.shape[2]] = pcm
    memory.capture_write[row] = begin + len(pcm)


def steady(samples: int, value: int) -> NDArray[np.int16]:
    return np.full(samples, value, np.int16)


def test_two_windows_of_speech_after_the_question_make_a_verdict() -> None:
    memory = columns()
    judge = Judge(memory, echoing)
    hear(memory, 5, steady(2048, 900))
    memory.question[5], memory.epoch[5] = 3, 2

    assert judge.step() == []  # what was before the question only makes the network know the line
    hear(memory, 5, steady(256, 900))
    assert judge.step() == []
    hear(memory, 5, steady(256, 900))

    assert judge.step() == [Verdict(row=5, generation=6, epoch=2, question=3, is_speech=True)]
    assert judge.step() == []
    assert judge.windows == 8


@pytest.mark.parametrize("rate_hz", [16000, 48000])
def test_a_row_of_a_higher_rate_is_judged_at_8_khz(rate_hz: int) -> None:
    shape = Shape(rate_hz)
    memory = Columns(bytearray(Columns.size_bytes(2, shape)), 2, shape)
    memory.generation[1], memory.sensitivity[1], memory.floor_state[1] = 6, 1, DUCKED
    judge = Judge(memory, echoing)
    hear(memory, 1, steady(2048 * shape.per_tick, 900))
    memory.question[1] = 3
    judge.step()

    hear(memory, 1, steady(512 * shape.per_tick - 1, 900))
    assert judge.step() == []
    hear(memory, 1, steady(1, 900))

    assert judge.step() == [Verdict(row=1, generation=6, epoch=0, question=3, is_speech=True)]
    assert judge.windows == 8


def test_what_is_nothing_like_speech_is_noise_after_four_windows() -> None:
    memory = columns()
    judge = Judge(memory, echoing)
    memory.question[0] = 1
    judge.step()

    hear(memory, 0, steady(1024, -900))

    assert [told.is_speech for told in judge.step()] == [False]


def test_without_a_duck_a_voice_is_doubted() -> None:
    memory = columns()
    memory.floor_state[1] = 1
    judge = Judge(memory, lambda sound, state: (np.full(len(sound), 0.96, np.float32), state))
    memory.question[:2] = 1
    judge.step()

    for row in (0, 1):
        hear(memory, row, steady(512, 900))

    assert [told.row for told in judge.step()] == [0]


def test_a_question_that_is_withdrawn_or_replaced_is_forgotten() -> None:
    memory = columns()
    judge = Judge(memory, echoing)
    memory.question[0], memory.question[1] = 1, 1
    judge.step()
    for row in (0, 1):
        hear(memory, row, steady(256, 900))
    judge.step()

    memory.question[0], memory.question[1] = 0, 2
    for row in (0, 1):
        hear(memory, row, steady(256, 900))

    assert judge.step() == []
    assert judge.is_asked
    hear(memory, 1, steady(512, 900))
    assert [told.question for told in judge.step()] == [2]


def test_another_leg_of_the_same_row_is_not_judged_by_the_voice_of_the_first() -> None:
    memory = columns()
    judge = Judge(memory, echoing)
    memory.question[4] = 1
    judge.step()
    hear(memory, 4, steady(256, 900))

    memory.generation[4] = 999
    hear(memory, 4, steady(256, 900))

    assert judge.step() == []


def test_more_voices_than_slots_are_judged_in_turn() -> None:
    memory = columns()
    judge = Judge(memory, echoing)
    memory.question[:] = 1
    judge.step()
    for row in range(ROWS):
        hear(memory, row, steady(512, 900))
    first = judge.step()

    for told in first:
        memory.question[told.row] = 0
    judge.step()
    for row in range(ROWS):
        hear(memory, row, steady(512, 900))
    second = judge.step()

    assert len(first) == 256
    assert len(second) == ROWS - 256


@pytest.fixture(scope="module")
def network() -> Network:
    return silero()


def test_silero_tells_a_sentence_from_a_door(network: Network) -> None:
    memory = columns()
    judge = Judge(memory, network)
    sentence = speech_sentence()
    spoken = sentence[int(np.argmax(np.abs(sentence) > 1000)) :]
    sounds = {0: spoken, 1: slam(ms=400, tail=0.3), 2: hiss(4000)}
    for row in sounds:
        hear(memory, row, hiss(2400, seed=row))
        memory.question[row] = 1
    verdicts: dict[int, bool] = {}

    for at in range(0, 2400, 160):
        for row, pcm in sounds.items():
            hear(memory, row, pcm[at : at + 160])
        verdicts |= {told.row: told.is_speech for told in judge.step()}

    assert verdicts == {0: True, 1: False, 2: False}


def test_onnxruntime_is_here_for_the_voice_already() -> None:
    assert is_available()

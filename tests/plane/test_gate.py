import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.plane.gate import Gate
from bridge.plane.spec import PlaneSettings
from tests.fakes import MS
from tests.plane.rig import Pcm, hiss, slam, speech_onsets

ROWS = np.array([1])


class Listener:
    """One row's gate on a line of its own noise."""

    def __init__(self, *, noise_db: float = -62.0, learn_ms: int = 400) -> None:
        self.gate = Gate(2, PlaneSettings())
        self.gate.restart(1)
        self.noise_db = noise_db
        self.now_ns = 0
        self.opened_ns: list[int] = []
        self.stopped_ns: list[int] = []
        self.most_evidence = 0
        self.hear(np.zeros(learn_ms * 8, np.int16))

    def hear(self, pcm: Pcm, *, phase: int = 0, ptime: int = 160) -> None:
        count = -(-(phase + len(pcm)) // ptime)
        line = hiss(count * ptime, level_db=self.noise_db, seed=self.now_ns // MS).astype(np.int64)
        line[phase : phase + len(pcm)] += pcm
        for frame in line.clip(-32768, 32767).astype(np.int16).reshape(count, ptime):
            self.now_ns += ptime // 8 * MS
            heard = self.gate.hear(ROWS, frame[None, :], now_ns=self.now_ns)
            if heard.opened[0]:
                self.opened_ns.append(self.now_ns)
            self.most_evidence = max(self.most_evidence, int(self.gate.evidence(ROWS)[0]))
            if len(self.gate.close_stale(ROWS, now_ns=self.now_ns)):
                self.stopped_ns.append(int(self.gate.voiced_ns[1]))

    def quiet(self, ms: int) -> None:
        self.hear(np.zeros(ms * 8, np.int16))


@pytest.mark.parametrize("phase", [0, 40, 90, 130])
@pytest.mark.parametrize("loudness", [1.0, 0.4])
def test_the_gate_opens_within_two_packets_of_a_clear_onset(phase: int, loudness: float) -> None:
    for onset in speech_onsets():
        listener = Listener()
        begin_ns = listener.now_ns + phase * 125_000

        listener.hear((onset * loudness).astype(np.int16), phase=phase)

        assert listener.opened_ns[0] - begin_ns <= 40 * MS
        assert abs(int(listener.gate.onset_ns[1]) - begin_ns) <= 30 * MS or len(listener.opened_ns) > 1


@pytest.mark.parametrize("noise_db", [-96.0, -75.0, -62.0, -50.0, -42.0])
def test_a_line_that_only_hisses_never_opens_it(noise_db: float) -> None:
    listener = Listener(noise_db=noise_db, learn_ms=0)

    listener.quiet(3000)

    assert listener.opened_ns == []


def test_a_voice_ends_when_it_ended_and_not_when_that_was_noticed() -> None:
    listener = Listener()
    listener.hear(slam(ms=400, decay_ms=5000))
    ended_ns = listener.now_ns

    listener.quiet(400)

    assert len(listener.opened_ns) == 1
    assert len(listener.stopped_ns) == 1
    assert abs(listener.stopped_ns[0] - ended_ns) <= 10 * MS


def test_pauses_between_syllables_do_not_end_a_voice() -> None:
    listener = Listener()
    for _ in range(4):
        listener.hear(slam(ms=100, decay_ms=5000))
        listener.quiet(140)

    assert len(listener.opened_ns) == 1
    assert listener.stopped_ns == []


def test_noise_that_comes_to_stay_is_learnt_within_two_seconds() -> None:
    listener = Listener()

    listener.noise_db = -38.0
    listener.quiet(3000)

    assert len(listener.opened_ns) == 1
    assert len(listener.stopped_ns) == 1
    assert listener.stopped_ns[0] - listener.opened_ns[0] < 2000 * MS


def test_soft_voices_need_three_sub_frames_in_a_row() -> None:
    listener = Listener(noise_db=-75)
    listener.hear(hiss(160, level_db=-50))
    assert listener.opened_ns == []
    listener.quiet(20)

    listener.hear(hiss(320, level_db=-50))

    assert len(listener.opened_ns) == 1


@pytest.mark.parametrize("ptime", [40, 80, 160, 240, 480])
def test_any_ptime_is_heard(ptime: int) -> None:
    listener = Listener()

    listener.hear(slam(ms=240, decay_ms=5000), ptime=ptime)

    assert len(listener.opened_ns) == 1


def test_a_slam_is_less_evidence_than_speech() -> None:
    slams = []
    for phase in (0, 50, 130):
        for tail in (0.0, 0.3):
            listener = Listener()
            listener.hear(slam(tail=tail, seed=phase), phase=phase)
            slams.append(listener.most_evidence)
    words = []
    for onset in speech_onsets():
        listener = Listener()
        listener.hear(onset, phase=50)
        words.append(listener.most_evidence)

    assert max(slams) < PlaneSettings().speech_evidence <= min(words)


def test_evidence_can_be_forgotten() -> None:
    listener = Listener()
    listener.hear(slam(ms=200, decay_ms=5000))
    assert listener.gate.evidence(ROWS)[0] >= 18

    listener.gate.forget_evidence(ROWS)

    assert listener.gate.evidence(ROWS)[0] == 0
    assert listener.gate.open[1]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(-70, 0), st.integers(-70, 0), st.integers(-70, 0)), min_size=1, max_size=40
    )
)
def test_rows_heard_together_are_heard_as_if_each_were_alone(levels: list[tuple[int, int, int]]) -> None:
    together, alone = Gate(3, PlaneSettings()), [Gate(3, PlaneSettings()) for _ in range(3)]
    everyone = np.arange(3)
    for row in range(3):
        together.restart(row)
        alone[row].restart(row)

    for number, row_levels in enumerate(levels):
        frames = np.stack([hiss(level_db=level, seed=number) for level in row_levels])
        heard = together.hear(everyone, frames, now_ns=number * 20 * MS)
        for row in range(3):
            one = alone[row].hear(everyone[row : row + 1], frames[row : row + 1], now_ns=number * 20 * MS)
            assert heard.opened[row] == one.opened[0]
            assert heard.voiced[row] == one.voiced[0]
            assert together.evidence(everyone)[row] == alone[row].evidence(everyone)[row]

"""The gate where it listens closely: sounds that the noise of the whole band hides."""

import numpy as np
import pytest

from bridge.plane.columns import Columns
from bridge.plane.echo import EchoGate
from bridge.plane.gate import Gate
from bridge.plane.spec import PlaneSettings, judged
from tests.fakes import MS
from tests.plane.rig import Pcm, hiss

ROWS = np.array([1])
YES, NO = np.array([True]), np.array([False])


def voice_bar(ms: int = 20, *, level_db: float = -49.0) -> Pcm:
    """What is heard of a "b" before the lips open."""
    wave = np.sqrt(2) * 32768 * 10 ** (level_db / 20) * np.sin(2 * np.pi * 130 / 8000 * np.arange(ms * 8))
    pcm: Pcm = wave.astype(np.int16)
    return pcm


class Listener:
    """One row's gate on a line whose noise is as loud as a voice's first sound."""

    def __init__(
        self, settings: PlaneSettings | None = None, *, sensitivity: int = 1, noise_db: float = -49.0
    ) -> None:
        self.gate = Gate(2, judged(PlaneSettings()) if settings is None else settings)
        self.gate.restart(1)
        self.gate.set_sensitivity(1, sensitivity)
        self.noise_db = noise_db
        self.now_ns = 0
        self.opened_ns: list[int] = []
        self.exposed, self.keen = YES, YES

    def hear(self, pcm: Pcm, *, ptime: int = 160) -> None:
        line = hiss(len(pcm), level_db=self.noise_db, seed=self.now_ns // MS).astype(np.int64) + pcm
        for frame in line.astype(np.int16).reshape(-1, ptime):
            self.now_ns += ptime // 8 * MS
            heard = self.gate.hear(
                ROWS, frame[None, :], now_ns=self.now_ns, exposed=self.exposed, keen=self.keen
            )
            assert heard.voiced[0] or not heard.opened[0]
            if heard.opened[0]:
                self.opened_ns.append(self.now_ns)
            self.gate.close_stale(ROWS, now_ns=self.now_ns)

    def quiet(self, ms: int, *, ptime: int = 160) -> None:
        self.hear(np.zeros(ms * 8, np.int16), ptime=ptime)


def test_a_voice_bar_as_loud_as_the_noise_opens_it_with_its_first_packet() -> None:
    listener = Listener()
    listener.quiet(2000)
    began_ns = listener.now_ns

    listener.hear(voice_bar())

    assert listener.opened_ns == [began_ns + 20 * MS]
    assert listener.gate.onset_ns[1] in (began_ns, began_ns + 10 * MS)
    assert listener.gate.evidence(ROWS)[0] == 0


def test_without_a_judge_nobody_listens_so_closely() -> None:
    listener = Listener(PlaneSettings())
    listener.quiet(2000)

    listener.hear(voice_bar())

    assert listener.opened_ns == []


def test_it_does_not_open_where_that_would_silence_nobody() -> None:
    listener = Listener()
    listener.quiet(2000)
    listener.exposed = NO

    listener.hear(voice_bar())

    assert listener.opened_ns == []


def test_the_noise_is_known_from_the_time_when_we_listened() -> None:
    listener = Listener()
    listener.exposed = NO
    listener.quiet(4000)
    listener.exposed = YES
    listener.noise_db = -70.0
    listener.quiet(1000)  # too faint to be looked at
    listener.noise_db = -49.0
    began_ns = listener.now_ns

    listener.hear(voice_bar())

    assert listener.opened_ns == [began_ns + 20 * MS]


def test_it_stays_open_for_the_voice_that_follows() -> None:
    listener = Listener()
    listener.quiet(2000)
    listener.hear(voice_bar())

    listener.quiet(160)

    assert listener.gate.open[1]
    assert len(listener.opened_ns) == 1
    listener.quiet(60)
    assert not listener.gate.open[1]


def test_a_line_with_faint_sounds_while_we_speak_must_be_still_for_a_second_first() -> None:
    listener = Listener()
    for _ in range(10):
        listener.quiet(480)
        listener.hear(voice_bar())
    assert listener.opened_ns == []

    listener.quiet(1000)
    listener.hear(voice_bar())

    assert len(listener.opened_ns) == 1


def test_where_ducks_were_in_vain_faint_sounds_do_not_count() -> None:
    listener = Listener()
    listener.quiet(2000)
    listener.keen = NO

    listener.hear(voice_bar())
    listener.keen = YES
    listener.hear(voice_bar())

    assert listener.opened_ns == []


@pytest.mark.parametrize("sensitivity", [0, 1, 2])
@pytest.mark.parametrize("noise_db", [-59.0, -52.0, -45.0, -38.0])
def test_noise_alone_never_opens_it(sensitivity: int, noise_db: float) -> None:
    listener = Listener(sensitivity=sensitivity, noise_db=noise_db)

    listener.quiet(20_000)

    assert listener.opened_ns == []


def test_packets_of_less_than_ten_milliseconds_are_heard_as_before() -> None:
    listener = Listener()
    listener.quiet(2000, ptime=40)

    listener.hear(voice_bar(), ptime=40)

    assert listener.opened_ns == []


def test_our_own_voice_is_not_taken_for_a_faint_one_and_teaches_nothing() -> None:
    columns = Columns(bytearray(Columns.size_bytes(2)), 2)
    listener = Listener()
    echo = EchoGate(columns)
    listener.gate = Gate(2, judged(PlaneSettings()), echo)
    listener.gate.restart(1)
    echo.restart(1)
    listener.gate.set_sensitivity(1, 1)
    listener.quiet(2000)
    ours = (hiss(8000, level_db=-20.0, seed=77)).astype(np.int16)
    columns.capture[1, 1, :8000] = ours
    columns.capture_write[1] = 8000
    echo.sound(ROWS, now_ns=listener.now_ns)
    returned = (ours[6080:6720] * 10 ** (-26 / 20)).astype(np.int16)
    listener.exposed = NO
    listener.hear(returned[:480])
    listener.exposed = YES

    listener.hear(returned[480:])

    assert echo.proven[1] > 0
    assert listener.opened_ns == []
    listener.exposed = NO
    listener.hear(returned[480:])
    listener.exposed = YES
    listener.hear(returned[480:])

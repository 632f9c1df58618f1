import numpy as np

from bridge.plane.columns import Columns
from bridge.plane.mend import Mender
from bridge.plane.samples import SampleRing
from tests.plane.rig import Pcm
from tests.plane.test_conceal import tone

ROWS = np.array([1])


class Bench:
    """One row whose sound is a tone, some pieces of which are missing."""

    def __init__(self) -> None:
        self.columns = Columns(bytearray(Columns.size_bytes(2)), 2)
        self.ring = SampleRing(2)
        self.mender = Mender(self.columns, self.ring)
        self.mender.restart(1)
        self.voice = tone(4000, 80)

    def come(self, begin: int, end: int) -> None:
        self.ring.put(ROWS, np.array([begin]), self.voice[None, begin:end], np.array([begin]))

    def hear(self, play: int) -> Pcm:
        at = np.array([play])
        frames, filled = self.ring.take(ROWS, at)
        self.mender.mend(ROWS, frames, filled, at)
        self.ring.release(ROWS, at)
        heard: Pcm = frames[0]
        return heard

    @property
    def concealed(self) -> int:
        return self.columns.counters(1)["rx_concealed"]


def test_what_is_there_is_left_as_it_is() -> None:
    bench = Bench()
    bench.come(0, 320)

    assert np.array_equal(bench.hear(0), bench.voice[:160])
    assert np.array_equal(bench.hear(160), bench.voice[160:320])
    assert bench.concealed == 0
    assert not bench.mender.is_busy(ROWS).any()


def test_a_lost_packet_is_bridged_if_the_next_is_there() -> None:
    bench = Bench()
    bench.come(0, 800)
    bench.come(960, 1280)
    for play in range(0, 800, 160):
        bench.hear(play)

    made, after = bench.hear(800), bench.hear(960)

    assert np.abs(made.astype(int) - bench.voice[800:960]).max() < 1500
    assert np.array_equal(after, bench.voice[960:1120])
    assert bench.concealed == 2


def test_a_lost_packet_at_the_end_of_all_that_came_is_carried_on() -> None:
    bench = Bench()
    bench.come(0, 800)
    for play in range(0, 800, 160):
        bench.hear(play)

    made = bench.hear(800)

    assert np.abs(made[:80].astype(int) - bench.voice[800:880]).max() < 100
    assert bench.mender.is_busy(ROWS).all()


def test_half_a_slot_counts_with_the_next_half() -> None:
    bench = Bench()
    bench.come(0, 120)
    bench.hear(0)
    first = bench.concealed
    bench.come(160, 280)
    bench.hear(160)

    assert (first, bench.concealed) == (0, 1)


def test_a_sender_who_says_that_it_is_quiet_is_heard_as_it_says() -> None:
    bench = Bench()
    bench.come(0, 160)
    bench.hear(0)

    bench.mender.describe_silence(1, bytes([50]))
    quiet = bench.hear(160).astype(float)
    assert bench.mender.is_hushed(ROWS).all()

    level = 20 * np.log10(np.sqrt(np.mean(quiet**2)) / 32768)
    assert -55 < level < -45
    assert bench.concealed == 0
    bench.mender.restart(1)
    assert not bench.hear(320).any()


def test_a_sender_of_events_is_silent_until_it_speaks_again() -> None:
    bench = Bench()
    bench.come(0, 160)
    bench.hear(0)

    bench.mender.hush(1)
    assert not bench.hear(160).any()

    bench.mender.expect_sound(ROWS)
    bench.come(320, 480)
    assert np.array_equal(bench.hear(320), bench.voice[320:480])

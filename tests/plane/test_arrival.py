import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.plane.arrival import ArrivalRing
from bridge.plane.columns import Columns
from bridge.plane.spec import PlaneSettings
from tests.fakes import MS
from tests.plane.rig import Pcm

ROWS = np.array([1])
QUIET, LOUD = np.array([True]), np.array([False])
START = 2**32 - 1000


class Ear:
    """One row's jitter ring; packets are numbered, sound is counted so that every sample is known."""

    def __init__(self, settings: PlaneSettings | None = None) -> None:
        self.columns = Columns(bytearray(Columns.size_bytes(2)), 2)
        self.ring = ArrivalRing(self.columns, settings or PlaneSettings())
        self.ring.restart(1)
        self.now_ns = 7 * MS

    def arrive(
        self,
        number: int,
        *,
        samples: int = 160,
        shift: int = 0,
        early_ms: float = 0.0,
        pcm: Pcm | None = None,
    ) -> None:
        timestamp = (START + number * samples + shift) % 2**32
        pcm = sound(number * samples, samples) if pcm is None else pcm
        now_ns = self.now_ns - int(early_ms * MS)
        self.ring.place(ROWS, np.array([timestamp]), pcm[None, :], now_ns=now_ns)

    def hear(self, *, quiet: bool = False) -> Pcm:
        frame: Pcm = self.ring.pop(ROWS, QUIET if quiet else LOUD, np.array([self.now_ns]))[0]
        self.now_ns += 20 * MS
        return frame

    def count(self, name: str) -> int:
        return self.columns.counters(1)[name]

    @property
    def depth_ms(self) -> int:
        return int(self.columns.depth_samples[1]) // 8


def sound(begin: int, samples: int) -> Pcm:
    pcm: Pcm = (np.arange(begin, begin + samples) % 29000 + 1000).astype(np.int16)
    return pcm


def test_before_the_first_packet_there_is_silence_and_no_loss() -> None:
    ear = Ear()

    assert not ear.hear().any()

    assert ear.count("rx_concealed") == 0


def test_a_new_leg_does_not_show_the_delay_of_the_last() -> None:
    ear = Ear()
    for number in range(4):
        ear.arrive(number)
    ear.hear()
    assert ear.depth_ms > 0

    ear.ring.restart(1)
    ear.hear()

    assert ear.depth_ms == 0


def test_the_first_packet_is_heard_after_40_ms_and_every_sample_after_it() -> None:
    ear = Ear()
    heard = []
    for number in range(30):
        ear.arrive(number)
        heard.append(ear.hear())

    joined = np.concatenate(heard)

    assert not joined[:320].any()
    assert np.array_equal(joined[320:], sound(0, 28 * 160))
    assert ear.depth_ms == 40


@pytest.mark.parametrize("samples", [80, 160, 240, 320, 480])
def test_any_ptime_of_whole_slots_fits(samples: int) -> None:
    check_ptime(samples)


@pytest.mark.parametrize("samples", [40, 100, 120, 200, 33])
def test_any_other_ptime_fits_sample_by_sample(samples: int) -> None:
    check_ptime(samples)


def check_ptime(samples: int) -> None:
    ear, heard, number = Ear(), [], 0
    for frame in range(60):
        while number * samples < (frame + 1) * 160:
            ear.arrive(number, samples=samples)
            number += 1
        heard.append(ear.hear())

    joined = np.concatenate(heard)

    begin = int(np.argmax(joined != 0))
    assert begin == 320
    assert np.array_equal(joined[begin:], sound(0, len(joined) - begin))


@settings(deadline=None, max_examples=50)
@given(st.randoms(use_true_random=False), st.sampled_from([160, 120, 240]))
def test_disorder_within_the_delay_changes_nothing(dice: random.Random, samples: int) -> None:
    arrival = sorted(range(60), key=lambda number: number * samples + dice.uniform(0, 240))
    ear, heard, at = Ear(PlaneSettings(depth_start_ms=60)), [], 0
    ear.arrive(0, samples=samples)
    for frame in range(40):
        while at < 60 and arrival[at] * samples <= (frame + 1) * 160:
            ear.arrive(arrival[at], samples=samples)
            at += 1
        heard.append(ear.hear())

    joined = np.concatenate(heard)

    end = min(len(joined) - 480, 20 * 160)
    assert np.array_equal(joined[480 : 480 + end], sound(0, end))


def test_a_lost_packet_is_concealed_and_counted_in_slots() -> None:
    ear, heard = Ear(), []
    for number in range(20):
        if number != 9:
            ear.arrive(number)
        heard.append(ear.hear())

    assert ear.count("rx_concealed") == 2
    assert heard[11].any()
    assert np.array_equal(heard[13], sound(11 * 160, 160))


def test_a_sender_that_vanishes_fades_and_stops_counting() -> None:
    ear = Ear()
    for number in range(5):
        ear.arrive(number)
        ear.hear()

    heard = [ear.hear() for _ in range(20)]

    assert ear.count("rx_concealed") == 6
    assert not heard[-1].any()
    assert ear.depth_ms == 0


def test_a_sender_that_says_it_is_quiet_is_not_concealed() -> None:
    ear = Ear()
    for number in range(5):
        ear.arrive(number)
        ear.hear()

    ear.ring.mender.hushed[ROWS] = True
    for _ in range(20):
        ear.hear()

    assert ear.count("rx_concealed") == 0


def test_a_late_packet_is_heard_later_and_makes_room_for_the_next_late_one() -> None:
    ear, heard = Ear(), []
    for frame in range(40):
        if frame < 10:
            ear.arrive(frame)
        elif frame >= 14:
            # From here on the network takes 80 ms more than it did.
            ear.arrive(frame - 4)
        heard.append(ear.hear())

    joined = np.concatenate(heard[16:])

    assert ear.count("rx_late") == 0
    begin = int(joined[200]) - 1000 - 200
    assert np.array_equal(joined[200:], sound(begin + 200, len(joined) - 200))


def test_what_cannot_be_played_any_more_is_counted_as_late() -> None:
    ear = Ear(PlaneSettings(depth_max_ms=40))
    for number in range(1, 20):
        ear.arrive(number)
        ear.hear()
    ear.arrive(20)
    ear.arrive(21)

    ear.arrive(14)

    assert ear.count("rx_late") == 1


def test_an_odd_packet_that_cannot_be_played_any_more_is_counted_as_late() -> None:
    ear = Ear(PlaneSettings(depth_max_ms=40))
    for number in range(1, 40):
        ear.arrive(number, samples=120)
        ear.hear() if number % 4 else None
    for number in range(40, 46):
        ear.arrive(number, samples=120)

    ear.arrive(16, samples=120)

    assert ear.count("rx_late") == 1


@pytest.mark.parametrize("shift", [8_000_000, -8_000_000])
def test_a_leap_of_the_timestamps_begins_anew(shift: int) -> None:
    ear, heard = Ear(), []
    for number in range(20):
        ear.arrive(number, shift=shift if number >= 10 else 0)
        heard.append(ear.hear())

    assert np.array_equal(np.concatenate(heard[-5:]), sound(int(heard[-5][0]) - 1000, 800))
    assert ear.count("rx_late") == 0


def test_talk_after_a_pause_in_which_the_clock_stood_still_is_heard() -> None:
    ear = Ear()
    for number in range(10):
        ear.arrive(number)
        ear.hear()
    for _ in range(8):
        ear.hear()

    heard = []
    for number in range(10, 20):
        ear.arrive(number)
        heard.append(ear.hear())

    joined = np.concatenate(heard)
    begin = int(np.argmax(joined != 0))
    assert np.array_equal(joined[begin:], sound(1600, len(joined) - begin))


def test_delay_that_nobody_needs_goes_in_silence_only() -> None:
    ear = Ear(PlaneSettings(depth_start_ms=120))
    for number in range(200):
        ear.arrive(number)
        ear.hear(quiet=False)
    assert ear.depth_ms >= 120

    for number in range(200, 900):
        ear.arrive(number)
        ear.hear(quiet=True)

    assert ear.depth_ms == 20


def test_delay_stays_where_jitter_needs_it() -> None:
    ear = Ear(PlaneSettings(depth_start_ms=120))
    ear.columns.jitter_ticks[1] = 160

    for number in range(900):
        ear.arrive(number)
        ear.hear(quiet=True)

    assert ear.depth_ms == 80
    assert ear.ring.target_slots(ROWS).tolist() == [8]

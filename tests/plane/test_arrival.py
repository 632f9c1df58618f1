import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bridge.plane.arrival import ArrivalRing
from bridge.plane.columns import Columns
from bridge.plane.spec import PlaneSettings
from tests.fakes import MS
from tests.plane.rig import Pcm, hiss
from tests.plane.test_conceal import steepest, tone

ROWS = np.array([1])
QUIET, LOUD = np.array([True]), np.array([False])
START = 2**32 - 1000


class Ear:
    """One row's jitter ring; packets are numbered, sound is counted so that every sample is known."""

    def __init__(self, settings: PlaneSettings | None = None, *, capacity: int = 2) -> None:
        self.columns = Columns(bytearray(Columns.size_bytes(capacity)), capacity)
        self.ring = ArrivalRing(self.columns, settings or PlaneSettings())
        for row in range(capacity):
            self.ring.restart(row)
        self.now_ns = 7 * MS
        self.number = 0
        self.lags_ms: list[float] = []

    def arrive(
        self,
        number: int,
        *,
        samples: int = 160,
        shift: int = 0,
        early_ms: float = 0.0,
        pcm: Pcm | None = None,
        rows: NDArray[np.intp] = ROWS,
    ) -> None:
        timestamp = (START + number * samples + shift) % 2**32
        pcm = sound(number * samples, samples) if pcm is None else pcm
        now_ns = self.now_ns - int(early_ms * MS)
        self.ring.place(rows, np.array([timestamp]), pcm[None, :], now_ns=now_ns)

    def hear(self, *, quiet: bool = False) -> Pcm:
        frame: Pcm = self.ring.pop(ROWS, QUIET if quiet else LOUD, np.array([self.now_ns]))[0]
        self.now_ns += 20 * MS
        return frame

    def live(self, count: int, delay_ms: Callable[[int], float], *, voice: Pcm | None = None) -> Pcm:
        """Let the next packets come as late as told, and pop every 20 ms; in a voice, or else in silence."""
        first, at, heard = self.number, 0, []
        begin_ns = self.now_ns
        order = sorted((number * 20 + delay_ms(first + number), first + number) for number in range(count))
        for _ in range(count):
            while at < count and begin_ns + int(order[at][0] * MS) <= self.now_ns:
                number = order[at][1]
                pcm = None if voice is None else voice[number * 160 : number * 160 + 160]
                self.arrive(number, early_ms=(self.now_ns - begin_ns) / MS - order[at][0], pcm=pcm)
                at += 1
            heard.append(self.hear(quiet=voice is None))
            self.lags_ms.append(lag_ms(self))
        self.number += count
        return np.concatenate(heard)

    def count(self, name: str) -> int:
        return self.columns.counters(1)[name]

    @property
    def depth_ms(self) -> int:
        return int(self.columns.depth_samples[1]) // 8


def lag_ms(ear: Ear) -> float:
    """From the moment at which the fastest packet comes to the one in which it is heard."""
    return float(ear.ring._lag[1] - ear.ring.delays.base[1]) / 8


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


def test_a_stream_begins_on_the_border_of_a_piece() -> None:
    ear, heard = Ear(PlaneSettings(depth_start_ms=43)), []
    for number in range(5):
        ear.arrive(number)
        heard.append(ear.hear())

    joined = np.concatenate(heard)

    assert np.array_equal(joined[320:], sound(0, 480))


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

    ear.ring.mender.hush(1)
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
    assert ear.depth_ms == 120

    for number in range(200, 400):
        ear.arrive(number)
        ear.hear(quiet=True)

    assert ear.depth_ms <= 20


@pytest.mark.parametrize("samples", [80, 120, 240, 320, 480])
def test_no_ptime_waits_longer_than_it_must(samples: int) -> None:
    ear, number = Ear(PlaneSettings(depth_start_ms=120)), 0
    for frame in range(600):
        while (number + 1) * samples <= (frame + 1) * 160:
            ear.arrive(number, samples=samples)
            number += 1
        ear.hear(quiet=frame > 60)

    assert ear.depth_ms <= samples / 8 + 20
    assert ear.count("rx_concealed") == ear.count("rx_late") == 0


def test_delay_stays_where_jitter_needs_it() -> None:
    ear = Ear(PlaneSettings(depth_start_ms=120))

    # Every second packet takes 70 ms longer than the others.
    ear.live(900, lambda number: number % 2 * 70.0)

    assert 70 <= lag_ms(ear) <= 100
    assert ear.count("rx_concealed") == 0


def test_more_delay_is_taken_in_silence_before_a_packet_is_late() -> None:
    ear = Ear()
    ear.live(400, lambda _: 0.0)
    assert lag_ms(ear) < 30

    # The line slows down little by little.
    ear.live(400, lambda number: (number - 400) * 0.1)

    assert lag_ms(ear) >= 40
    assert ear.count("rx_late") == ear.count("rx_concealed") == 0


def stood_still(number: int) -> float:
    """The line stood still for 140 ms, once."""
    return float((107 - number) * 20 if 100 <= number < 107 else 0)


def test_too_much_delay_goes_in_a_voice_by_its_pitch_period() -> None:
    ear, voice = Ear(PlaneSettings(late_share=0.05)), tone(160 * 400, 64)

    heard = ear.live(400, stood_still, voice=voice)

    assert ear.count("rx_late") == 0
    assert max(ear.lags_ms) > 130
    assert lag_ms(ear) <= 80
    assert steepest(heard[-160 * 260 :]) <= steepest(voice) * 1.05


def test_a_voice_is_stretched_by_its_period_when_more_delay_is_needed() -> None:
    ear, voice = Ear(), tone(160 * 600, 64)

    heard = ear.live(600, lambda number: max(number - 100, 0) * 0.1, voice=voice)

    assert lag_ms(ear) >= 50
    assert ear.count("rx_late") == ear.count("rx_concealed") == 0
    assert steepest(heard[800:]) <= steepest(voice) * 1.05


def test_a_sound_without_a_period_keeps_its_delay() -> None:
    ear, noise = Ear(PlaneSettings(late_share=0.05)), hiss(160 * 300, level_db=-20)

    heard = ear.live(300, stood_still, voice=noise)

    assert lag_ms(ear) >= 120
    behind = int(ear.columns.depth_samples[1])
    assert np.array_equal(heard[-160 * 150 :], noise[-160 * 150 - behind : -behind])


def test_a_row_without_sound_moves_its_delay_for_nothing() -> None:
    ear = Ear(PlaneSettings(depth_start_ms=120))
    for number in range(60):
        ear.arrive(number)
        ear.hear()
    ear.ring.mender.hush(1)
    for _ in range(100):
        ear.hear(quiet=True)

    heard = []
    for number in range(160, 200):
        ear.arrive(number)
        heard.append(ear.hear())

    assert ear.depth_ms <= 20
    assert ear.count("rx_concealed") == 0
    joined = np.concatenate(heard)
    begin = int(np.argmax(joined != 0))
    assert np.array_equal(joined[begin:], sound(160 * 160, len(joined) - begin))


@pytest.mark.parametrize("outage_ms", [120, 200, 300])
def test_the_longest_delay_is_not_exceeded_for_long(outage_ms: int) -> None:
    ear = Ear(PlaneSettings(depth_max_ms=100))
    voice = hiss(160 * 200, level_db=-20)
    begin = 100 - outage_ms // 20

    ear.live(200, lambda number: (100 - number) * 20.0 if begin <= number < 100 else 0.0, voice=voice)

    assert max(ear.lags_ms[120:]) <= 120


def test_after_a_single_loss_the_delay_is_what_it_was() -> None:
    ear = Ear()
    for number in range(100):
        if number != 50:
            ear.arrive(number)
        ear.hear()

    assert ear.depth_ms == 40


def test_a_straggler_from_long_ago_changes_nothing() -> None:
    ear, heard = Ear(), []
    for number in range(100):
        ear.arrive(number)
        if number == 60:
            ear.arrive(10)
        heard.append(ear.hear())

    assert ear.count("rx_late") == 1
    assert np.array_equal(np.concatenate(heard)[320:], sound(0, 98 * 160))


def test_a_packet_that_was_overtaken_by_what_was_heard_is_late() -> None:
    ear, heard = Ear(), []
    for number in range(20):
        if number != 9:
            ear.arrive(number)
        if number == 13:
            ear.arrive(9)
        heard.append(ear.hear())

    assert ear.count("rx_late") == 1
    assert np.array_equal(np.concatenate(heard[13:]), sound(11 * 160, 7 * 160))


@pytest.mark.parametrize("ppm", [200, -200])
def test_clocks_that_disagree_lose_nothing_and_pile_up_nothing(ppm: int) -> None:
    ear, number = Ear(), 0
    for frame in range(15_000):
        while number * 20 * (1 + ppm * 1e-6) <= frame * 20:
            ear.arrive(number, early_ms=frame * 20 - number * 20 * (1 + ppm * 1e-6))
            number += 1
        ear.hear(quiet=frame % 100 > 80)

    assert ear.count("rx_late") == ear.count("rx_concealed") == 0
    assert lag_ms(ear) <= 45


def test_a_leap_of_a_known_stream_waits_as_long_as_its_jitter_needs() -> None:
    ear = Ear()
    for number in range(200):
        ear.arrive(number, early_ms=70 if number % 3 else 0)
        ear.hear()

    ear.arrive(201, shift=8_000_000)

    assert 70 <= lag_ms(ear) <= 80

"""What every room of the plane promises, at every rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.plane.arrival import ArrivalRing
from bridge.plane.codec import ROW_RATES_HZ
from bridge.plane.columns import Columns
from bridge.plane.comfort import ComfortNoise
from bridge.plane.conceal import FUTURE_TICKS, HISTORY_TICKS, Concealer
from bridge.plane.mend import Mender
from bridge.plane.playout import Playout
from bridge.plane.ring import CaptureReader, PlayoutWriter
from bridge.plane.samples import SampleRing
from bridge.plane.shape import NARROW, Shape
from bridge.plane.spec import PlaneSettings
from bridge.plane.splice import blend
from tests.plane.rig import Pcm
from tests.plane.test_conceal import tone

ROWS = np.array([1])
RATES = pytest.mark.parametrize("rate_hz", ROW_RATES_HZ)
_NS_PER_TICK = 125_000


def columns(rate_hz: int) -> Columns:
    shape = Shape(rate_hz)
    return Columns(bytearray(Columns.size_bytes(2, shape)), 2, shape)


def at(tick: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.array([tick])


def noise(samples: int, seed: int = 1) -> Pcm:
    pcm: Pcm = np.random.default_rng(seed).integers(-9000, 9000, samples).astype(np.int16)
    return pcm


@RATES
def test_rings_have_room_for_the_same_time(rate_hz: int) -> None:
    memory = columns(rate_hz)

    assert memory.play_samples.shape == (2, memory.shape.play)
    assert memory.capture.shape == (2, 2, memory.shape.capture)
    assert memory.play_write.ctypes.data % 8 == 0


@RATES
def test_speech_written_is_played_round_the_ring(rate_hz: int) -> None:
    memory = columns(rate_hz)
    memory.generation[1] = 3
    writer, playout = PlayoutWriter(memory, 1, 3), Playout(memory)
    frame = memory.shape.frame
    said = noise(frame * 300)
    played: list[Pcm] = []

    writer.open_utterance(0)
    assert writer.free() == memory.shape.play
    written = 0
    while len(played) < 300:
        written += writer.write(said[written : written + frame * 3], epoch=0)
        survey = playout.survey(ROWS)
        played.append(playout.take(ROWS, survey.reads, survey.available)[0])

    assert np.concatenate(played).tobytes() == said.tobytes()


@RATES
def test_what_a_flush_cuts_off_ends_within_5_ms(rate_hz: int) -> None:
    memory = columns(rate_hz)
    memory.generation[1] = 3
    writer, playout = PlayoutWriter(memory, 1, 3), Playout(memory)
    playout.restart(1)
    playout.set_gain(1, 0)
    shape = memory.shape
    writer.write(np.full(shape.frame * 3, 8000, np.int16), epoch=0)
    survey = playout.survey(ROWS)
    playout.take(ROWS, survey.reads, survey.available)
    playout.fade_out(ROWS, np.array([False]), np.zeros((1, shape.frame), np.int16))

    playout.flush(1, fades=True)
    tail = np.zeros((1, shape.frame), np.int16)
    playout.fade_out(ROWS, np.array([True]), tail)

    assert (np.diff(tail[0, : shape.piece].astype(int)) < 0).all()
    assert not tail[0, shape.piece :].any()


@RATES
def test_a_slow_reader_is_told_what_it_missed(rate_hz: int) -> None:
    memory = columns(rate_hz)
    memory.generation[0] = 3
    reader = CaptureReader(memory, 0, 3)
    memory.capture_write[0] = memory.shape.capture + 10

    heard = reader.read(10**6)

    assert reader.skipped_samples == 10 + 2 * memory.shape.frame
    assert heard.shape[1] == memory.shape.capture - 2 * memory.shape.frame


@given(
    st.sampled_from(ROW_RATES_HZ),
    st.integers(-(2**31), 2**31),
    st.lists(st.integers(1, 30), min_size=1, max_size=6),
)
def test_what_is_put_comes_out_at_its_place(rate_hz: int, begin: int, lengths: list[int]) -> None:
    shape = Shape(rate_hz)
    ring = SampleRing(2, shape)
    tick = begin // 40 * 40
    play = at(tick)
    put = []

    for number, pieces in enumerate(lengths):
        pcm = noise(pieces * shape.piece // 2 * 2, seed=number)[: pieces * shape.piece]
        if (tick - int(play[0])) // 40 + pieces > 120:
            break
        assert ring.put(ROWS, at(tick), pcm[None, :], play).all()
        put.append(pcm)
        tick += pieces * 40
    whole = np.concatenate(put)

    places = int(play[0]) * shape.per_tick + np.arange(len(whole))
    assert np.array_equal(ring.read(ROWS, places[None, :])[0], whole)
    if len(whole) >= shape.frame:
        frame, filled = ring.take(ROWS, play)
        assert np.array_equal(frame[0], whole[: shape.frame])
        assert filled.all()


@given(st.sampled_from(ROW_RATES_HZ), st.integers(0, 2**32 - 1), st.integers(8, 320))
def test_packets_of_any_length_are_popped_as_they_were_placed(
    rate_hz: int, timestamp: int, length: int
) -> None:
    memory = columns(rate_hz)
    shape = memory.shape
    ring = ArrivalRing(memory, PlaneSettings())
    ring.restart(1)
    size = length * shape.per_tick + (length % shape.per_tick)
    count = 640 // length + 4
    said = noise(size * count)
    quiet = np.array([False])
    popped = []
    now_ns = due_ns = 10**9

    for number in range(count):
        now_ns = 10**9 + number * size * _NS_PER_TICK // shape.per_tick
        while due_ns < now_ns:
            popped.append(ring.pop(ROWS, quiet, np.array([due_ns]))[0])
            due_ns += 20_000_000
        stamp = (timestamp + number * size) % 2**32
        ring.place(ROWS, at(stamp), said[None, number * size : (number + 1) * size], now_ns=now_ns)
    for _ in range(4):
        popped.append(ring.pop(ROWS, quiet, np.array([due_ns]))[0])
        due_ns += 20_000_000

    heard = np.concatenate(popped)
    # The beginning may be heard late, where packets are longer than what the ring waits.
    assert said[-size - shape.frame * 2 : -size].tobytes() in heard.tobytes()


@RATES
def test_sound_told_later_is_put_where_it_is_still_due(rate_hz: int) -> None:
    shape = Shape(rate_hz)
    ring = SampleRing(2, shape)
    told = noise(shape.piece * 6)

    count = ring.patch(1, shape.piece * 10 - 1, told, 480)

    assert count == 3
    kept = ring.read(ROWS, (np.arange(shape.piece * 3) + shape.piece * 12)[None, :])[0]
    assert np.array_equal(kept, told[shape.piece * 2 + 1 : shape.piece * 5 + 1])
    assert ring.pieces(ROWS, at(400), 6).tolist() == [[False, False, True, True, True, False]]
    assert ring.patch(1, 0, told, 480) == 0


@RATES
@pytest.mark.parametrize("period", [40.0, 97.3, 150.0])
def test_a_gap_goes_on_as_the_sound_before_it_went(rate_hz: int, period: float) -> None:
    shape = Shape(rate_hz)
    k = shape.per_tick
    concealer = Concealer(2, shape)
    concealer.run[ROWS] = 0
    concealer.remember(ROWS, tone(HISTORY_TICKS * k, period * k)[None, :])

    made = np.concatenate([concealer.fill(ROWS)[0] for _ in range(2)])

    truth = tone(2 * shape.piece, period * k, begin=HISTORY_TICKS * k)
    assert np.abs(made.astype(int) - truth).max() <= 900


@RATES
def test_a_gap_whose_end_is_known_is_bridged(rate_hz: int) -> None:
    shape = Shape(rate_hz)
    k = shape.per_tick
    concealer = Concealer(2, shape)
    concealer.run[ROWS] = 0
    concealer.remember(ROWS, tone(HISTORY_TICKS * k, 97.3 * k)[None, :])
    future = tone(FUTURE_TICKS * k, 97.3 * k, begin=HISTORY_TICKS * k + shape.frame)
    concealer.bridge(ROWS, future[None, :], np.array([shape.frame]))

    made = np.concatenate([concealer.fill(ROWS)[0] for _ in range(4)])

    truth = tone(shape.frame, 97.3 * k, begin=HISTORY_TICKS * k).astype(int)
    assert np.sqrt(np.mean((made - truth) ** 2) / np.mean(truth**2)) < 0.25


@RATES
def test_a_lost_frame_between_two_is_mended(rate_hz: int) -> None:
    memory = columns(rate_hz)
    shape = memory.shape
    ring = SampleRing(2, shape)
    mender = Mender(memory, ring)
    mender.restart(1)
    voice = tone(shape.frame * 12, 80.0 * shape.per_tick)
    ring.put(ROWS, at(0), voice[None, : shape.frame * 5], at(0))
    ring.put(ROWS, at(960), voice[None, shape.frame * 6 : shape.frame * 8], at(960))
    heard = []

    for play in range(0, 1280, 160):
        frames, filled = ring.take(ROWS, at(play))
        mender.mend(ROWS, frames, filled, at(play))
        ring.release(ROWS, at(play))
        heard.append(frames[0])

    assert np.abs(np.concatenate(heard).astype(int) - voice[: shape.frame * 8]).max() < 1500
    assert memory.counters(1)["rx_concealed"] == 2


@RATES
def test_comfort_noise_is_as_loud_at_any_rate(rate_hz: int) -> None:
    shape = Shape(rate_hz)
    comfort = ComfortNoise(2, shape)
    comfort.describe(1, bytes([40, 200]))

    loop = np.concatenate([comfort.next(ROWS)[0] for _ in range(100)]).astype(float)

    assert len(loop) == rate_hz // 2
    assert 20 * np.log10(np.sqrt(np.mean(loop**2)) / 32768) == pytest.approx(-40, abs=0.2)


@RATES
def test_a_blend_takes_10_ms(rate_hz: int) -> None:
    shape = Shape(rate_hz)
    old, new = np.full((1, shape.frame), 1000, np.int16), np.full((1, shape.frame), -1000, np.int16)

    blended = blend(old, new, shape.per_tick)[0].astype(int)

    assert (blended[shape.frame // 2 :] == -1000).all()
    assert (np.diff(blended[: shape.frame // 2]) <= 0).all()


@RATES
def test_the_delay_is_reduced_in_a_silence(rate_hz: int) -> None:
    memory = columns(rate_hz)
    shape = memory.shape
    ring = ArrivalRing(memory, PlaneSettings(depth_start_ms=100))
    ring.restart(1)
    sound = noise(shape.frame * 400) // 300

    for number in range(400):
        now_ns = 10**9 + number * 20_000_000
        ring.place(
            ROWS,
            at(number * shape.frame),
            sound[None, number * shape.frame : (number + 1) * shape.frame],
            now_ns=now_ns,
        )
        ring.pop(ROWS, np.array([True]), np.array([now_ns]))

    assert memory.depth_samples[1] < 300


@RATES
def test_in_a_voice_the_delay_is_reduced_by_whole_periods(rate_hz: int) -> None:
    memory = columns(rate_hz)
    shape = memory.shape
    ring = ArrivalRing(memory, PlaneSettings(depth_start_ms=60, depth_max_ms=200))
    ring.restart(1)
    voice = tone(shape.frame * 300, 80.0 * shape.per_tick)
    heard = []

    for number in range(300):
        now_ns = 10**9 + number * 20_000_000
        late_ns = 60_000_000 if number == 3 else 0
        frame = voice[None, number * shape.frame : (number + 1) * shape.frame]
        ring.place(ROWS, at(number * shape.frame), frame, now_ns=now_ns + late_ns)
        heard.append(ring.pop(ROWS, np.array([False]), np.array([now_ns]))[0])

    steps = np.abs(np.diff(np.concatenate(heard[20:]).astype(int)))
    assert steps.max() < np.abs(np.diff(voice.astype(int))).max() * 1.5


def test_narrow_is_what_it_was() -> None:
    assert (NARROW.frame, NARROW.piece, NARROW.play, NARROW.capture) == (160, 40, 32768, 16640)

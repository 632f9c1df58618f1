import numpy as np

from bridge.plane.samples import PIECE_SAMPLES, SampleRing
from tests.plane.rig import Pcm

ROWS = np.array([1])


def at(tick: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.array([tick])


def ramp(begin: int, samples: int) -> Pcm:
    pcm: Pcm = np.arange(begin, begin + samples).astype(np.int16)
    return pcm


def filled(begin: int = 0, samples: int = 480) -> SampleRing:
    ring = SampleRing(2)
    ring.put(ROWS, at(begin), ramp(begin, samples)[None, :], at(begin))
    return ring


def test_a_frame_comes_out_where_it_was_put() -> None:
    ring = filled(begin=5120 - 160, samples=320)

    frame, there = ring.take(ROWS, at(5120 - 80))

    assert np.array_equal(frame[0], ramp(5040, 160))
    assert there.all()


def test_a_frame_may_begin_anywhere() -> None:
    ring = filled(samples=200)

    frame, there = ring.take(ROWS, at(13))
    _, beyond = ring.take(ROWS, at(41))

    assert np.array_equal(frame[0], ramp(13, 160))
    assert there.all()
    assert beyond.tolist() == [[True, True, True, False]]


def test_what_was_heard_waits_no_more_but_can_be_looked_at() -> None:
    ring = filled()

    ring.release(ROWS, at(0))

    assert not ring.take(ROWS, at(0))[1].any()
    assert np.array_equal(ring.read(ROWS, np.arange(160)[None, :])[0], ramp(0, 160))


def test_only_what_is_due_is_kept() -> None:
    ring = SampleRing(2)

    first = ring.put(ROWS, at(0), ramp(0, 160)[None, :], at(80))
    second = ring.put(ROWS, at(0), ramp(0, 80)[None, :], at(80))

    assert first.tolist() == [True]
    assert second.tolist() == [False]
    assert ring.take(ROWS, at(0))[1].tolist() == [[False, False, True, True]]


def test_a_packet_that_fits_no_grid_is_put_to_the_sample() -> None:
    ring = filled(samples=40)

    assert ring.put_exactly(1, 40, ramp(40, 33), 0)
    assert ring.put_exactly(1, 73, ramp(73, 33), 80)
    assert not ring.put_exactly(1, 40, ramp(40, 33), 73)

    kept = ring.read(ROWS, np.arange(106)[None, :])[0]
    assert np.array_equal(kept[:73], ramp(0, 73))
    assert not kept[73:80].any()
    assert np.array_equal(kept[80:], ramp(80, 26))


def test_the_ring_knows_what_it_holds() -> None:
    ring = filled(samples=200)

    assert ring.holds(ROWS, at(10), at(200)).all()
    assert not ring.holds(ROWS, at(10), at(201)).any()
    assert ring.pieces(ROWS, at(120), 3).tolist() == [[True, True, False]]


def test_pieces_can_be_taken_out_and_put_back() -> None:
    ring = filled(samples=200)

    ring.mark(ROWS, at(40), at(125), np.array([False]))
    gone = ring.pieces(ROWS, at(0), 5).tolist()
    ring.mark(ROWS, at(80), at(120), np.array([True]))

    assert gone == [[True, False, False, True, True]]
    assert ring.pieces(ROWS, at(0), 5).tolist() == [[True, False, True, True, True]]


def test_what_was_made_up_is_kept_as_history() -> None:
    ring = SampleRing(2)

    ring.write(ROWS, np.arange(7, 47)[None, :], ramp(7, PIECE_SAMPLES)[None, :])

    assert np.array_equal(ring.read(ROWS, np.arange(7, 47)[None, :])[0], ramp(7, 40))
    assert not ring.pieces(ROWS, at(0), 2).any()


def test_an_erased_row_leaves_no_sound_behind() -> None:
    ring = filled()

    ring.forget(ROWS)
    assert not ring.pieces(ROWS, at(0), 128).any()
    assert ring.read(ROWS, np.arange(480)[None, :]).any()

    ring.erase(1)
    assert not ring.read(ROWS, np.arange(5120)[None, :]).any()


def test_frames_come_out_whole_from_any_piece_of_the_ring_round_and_round() -> None:
    ring = SampleRing(3)
    rows = np.array([2, 0])
    begins = np.array([40, 80])

    for turn in range(70):
        ticks = begins + 160 * turn
        pcm = np.stack([ramp(int(tick) % 30_000, 160) for tick in ticks])
        assert ring.put(rows, ticks, pcm, ticks).all()
        frames, there = ring.take(rows, ticks)
        ring.release(rows, ticks)

        assert np.array_equal(frames, pcm)
        assert there.all()
        assert np.array_equal(ring.read(rows, ticks[:, None] + np.arange(160)), pcm)
    assert not ring.read(np.array([1]), np.arange(5120)[None, :]).any()

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.plane.columns import CAPTURE_SAMPLES, FRAME_SAMPLES, PLAY_SAMPLES, Columns
from bridge.plane.playout import Playout
from bridge.plane.ring import CaptureReader, PlayoutWriter, stamp_of
from tests.plane.rig import Pcm

ROW, GENERATION = 1, 7
ROWS = np.array([ROW])


def opened() -> Columns:
    columns = Columns(bytearray(Columns.size_bytes(2)), 2)
    columns.generation[ROW] = GENERATION
    return columns


def ramp(begin: int, count: int) -> Pcm:
    return (np.arange(begin, begin + count) % 30011 + 1).astype(np.int16)


def play(playout: Playout) -> Pcm:
    """Take what is ready; an empty array when nothing is."""
    survey = playout.survey(ROWS)
    assert not survey.broken.any()
    if not survey.ready[0]:
        return np.empty(0, np.int16)
    frame = playout.take(ROWS, survey.reads, survey.available)[0]
    heard: Pcm = frame[: int(survey.available[0])]
    return heard


def capture(columns: Columns, begin: int) -> None:
    """Append a frame to both lanes, as the plane does."""
    at = np.arange(begin, begin + FRAME_SAMPLES)
    columns.capture[ROW, 0, at % CAPTURE_SAMPLES] = at % 30011
    columns.capture[ROW, 1, at % CAPTURE_SAMPLES] = -(at % 30011)
    columns.capture_write[ROW] = begin + FRAME_SAMPLES


def test_before_the_row_is_open_nothing_is_accepted() -> None:
    columns = Columns(bytearray(Columns.size_bytes(2)), 2)
    writer = PlayoutWriter(columns, ROW, GENERATION)

    assert not writer.is_open
    assert (writer.epoch, writer.played, writer.write_index, writer.ahead, writer.free()) == (0, 0, 0, 0, 0)
    assert writer.write(ramp(0, 10), epoch=0) == 0
    assert not writer.open_utterance(0)
    assert not writer.close_utterance(0)
    assert not columns.play_samples.any()


def test_an_utterance_opened_too_early_is_open_from_its_first_sample_on() -> None:
    columns = Columns(bytearray(Columns.size_bytes(2)), 2)
    writer = PlayoutWriter(columns, ROW, GENERATION)
    writer.open_utterance(0)

    columns.generation[ROW] = GENERATION
    writer.write(ramp(0, 100), epoch=0)
    assert columns.play_open[ROW] == 1
    writer.close_utterance(0)

    assert columns.play_open[ROW] == 0


def test_what_is_written_under_an_old_epoch_is_discarded() -> None:
    columns = opened()
    writer, playout = PlayoutWriter(columns, ROW, GENERATION), Playout(columns)
    writer.open_utterance(0)
    writer.write(ramp(0, 1000), epoch=0)

    playout.flush(ROW)

    assert writer.epoch == 1
    assert writer.write(ramp(0, 10), epoch=0) == 0
    assert not writer.close_utterance(0)
    assert len(play(playout)) == 0
    assert writer.free() == PLAY_SAMPLES


def test_a_new_epoch_begins_after_everything_that_was_flushed() -> None:
    columns = opened()
    writer, playout = PlayoutWriter(columns, ROW, GENERATION), Playout(columns)
    writer.write(ramp(0, 1000), epoch=0)
    playout.flush(ROW)

    writer.write(ramp(5000, 100), epoch=1)

    assert int(columns.play_stamp[ROW]) == stamp_of(GENERATION, 1)
    assert int(columns.play_start[ROW]) == 1000
    assert writer.write_index == 1100
    assert np.array_equal(play(playout), ramp(5000, 100))
    assert writer.played == 1100


def test_what_a_flush_forgot_is_not_ahead_of_what_is_written_next() -> None:
    columns = opened()
    writer, playout = PlayoutWriter(columns, ROW, GENERATION), Playout(columns)
    writer.write(ramp(0, PLAY_SAMPLES), epoch=0)
    play(playout)
    assert writer.ahead == PLAY_SAMPLES - FRAME_SAMPLES

    playout.flush(ROW)
    assert writer.ahead == 0
    writer.write(ramp(0, 1000), epoch=1)

    # The plane has not come round yet: `played` still stands in front of what was forgotten.
    assert writer.write_index - writer.played > 1000
    assert writer.ahead == 1000


def test_a_full_ring_takes_what_fits() -> None:
    writer = PlayoutWriter(opened(), ROW, GENERATION)

    assert writer.write(ramp(0, PLAY_SAMPLES - 10), epoch=0) == PLAY_SAMPLES - 10
    assert writer.write(ramp(0, 100), epoch=0) == 10
    assert writer.write(ramp(0, 100), epoch=0) == 0


PIECES = st.lists(
    st.tuples(st.sampled_from(["write", "play", "flush"]), st.integers(0, 3 * PLAY_SAMPLES // 2)), max_size=60
)


@settings(deadline=None)
@given(PIECES)
def test_every_sample_comes_out_once_in_order_until_a_flush(steps: list[tuple[str, int]]) -> None:
    columns = opened()
    writer, playout = PlayoutWriter(columns, ROW, GENERATION), Playout(columns)
    expected: list[int] = []
    for what, amount in steps:
        if what == "write":
            pcm = ramp(writer.write_index, amount)
            free = writer.free()
            taken = writer.write(pcm, epoch=writer.epoch)
            assert taken == min(free, amount)
            expected += pcm[:taken].tolist()
        elif what == "flush":
            playout.flush(ROW)
            expected.clear()
        else:
            for _ in range(amount // FRAME_SAMPLES):
                got = play(playout).tolist()
                assert got == expected[: len(got)]
                assert len(got) == min(len(expected), FRAME_SAMPLES)
                del expected[: len(got)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 150), st.integers(0, 20000)), max_size=30))
def test_a_reader_gets_both_lanes_in_step_and_counts_what_it_missed(steps: list[tuple[int, int]]) -> None:
    columns = opened()
    reader, written = CaptureReader(columns, ROW, GENERATION), 0
    for frames, wanted in steps:
        for _ in range(frames):
            capture(columns, written)
            written += FRAME_SAMPLES
        assert reader.available() == written - reader.position
        before = reader.position
        lanes = reader.read(wanted)

        begin = reader.position - lanes.shape[1]
        assert begin >= before
        assert np.array_equal(lanes[0], np.arange(begin, reader.position) % 30011)
        assert np.array_equal(lanes[1], -lanes[0])
        assert lanes.shape[1] <= wanted
    assert reader.position <= written


def test_a_reader_that_fell_behind_resumes_at_the_oldest_safe_sample() -> None:
    columns = opened()
    reader = CaptureReader(columns, ROW, GENERATION)
    for frame in range(200):
        capture(columns, frame * FRAME_SAMPLES)

    lanes = reader.read(10)

    assert reader.skipped_samples == 200 * FRAME_SAMPLES - (CAPTURE_SAMPLES - 2 * FRAME_SAMPLES)
    assert lanes[0, 0] == reader.skipped_samples % 30011


def test_a_row_that_was_given_away_is_silent_for_its_old_reader() -> None:
    columns = opened()
    reader = CaptureReader(columns, ROW, GENERATION)
    capture(columns, 0)

    columns.generation[ROW] = GENERATION + 1

    assert not reader.is_open
    assert reader.available() == 0
    assert reader.read(160).shape == (2, 0)


class _Interrupted(Columns):
    """Columns whose plane gives the row away while a reader copies from it."""

    def __getattribute__(self, name: str) -> object:
        value = super().__getattribute__(name)
        if name == "capture":
            self.generation[ROW] = 0
        return value


def test_a_row_given_away_during_the_copy_returns_nothing() -> None:
    columns = _Interrupted(bytearray(Columns.size_bytes(2)), 2)
    columns.generation[ROW] = GENERATION
    columns.capture_write[ROW] = 320
    reader = CaptureReader(columns, ROW, GENERATION)

    assert reader.read(160).shape == (2, 0)


def test_a_writer_that_let_go_of_the_memory_is_as_good_as_closed() -> None:
    columns = Columns(bytearray(Columns.size_bytes(2)), 2)
    columns.generation[1] = 7
    writer = PlayoutWriter(columns, 1, 7)
    assert writer.write(np.ones(160, np.int16), epoch=0) == 160

    writer.detach()

    assert not writer.is_open
    assert (writer.epoch, writer.played, writer.write_index, writer.ahead, writer.free()) == (0, 0, 0, 0, 0)
    assert writer.write(np.ones(160, np.int16), epoch=0) == 0
    assert columns.play_write[1] == 160


def test_a_reader_may_pass_over_what_nobody_wants_to_hear() -> None:
    columns = opened()
    reader = CaptureReader(columns, ROW, GENERATION)
    columns.capture[ROW, 0, :1000] = ramp(0, 1000)
    columns.capture_write[ROW] = 1000

    assert reader.keep_last(300) == 300
    assert reader.keep_last(500) == 300
    assert reader.position == 700
    assert (reader.read(8000)[0] == ramp(700, 300)).all()
    assert reader.skipped_samples == 0

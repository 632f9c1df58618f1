import numpy as np

from bridge.plane.columns import PLAY_SAMPLES, Columns
from bridge.plane.playout import Playout
from bridge.plane.ring import PlayoutWriter
from tests.plane.rig import Pcm

ROWS = np.array([1])


class Desk:
    """One row's writer and the playout that reads after it."""

    def __init__(self) -> None:
        self.columns = Columns(bytearray(Columns.size_bytes(2)), 2)
        self.columns.generation[1] = 7
        self.playout = Playout(self.columns)
        self.writer = PlayoutWriter(self.columns, 1, 7)

    def ready(self) -> bool:
        return bool(self.playout.survey(ROWS).ready[0])

    def take(self) -> Pcm:
        survey = self.playout.survey(ROWS)
        frame: Pcm = self.playout.take(ROWS, survey.reads, survey.available)[0]
        return frame


def sound(samples: int) -> Pcm:
    return np.full(samples, 9000, np.int16)


def test_an_open_utterance_waits_for_a_whole_frame() -> None:
    desk = Desk()
    desk.writer.open_utterance(0)
    desk.writer.write(sound(159), epoch=0)

    assert not desk.ready()
    assert desk.playout.has_pending(1)
    desk.writer.write(sound(1), epoch=0)

    assert desk.ready()


def test_the_end_of_a_closed_utterance_is_padded_with_silence() -> None:
    desk = Desk()
    desk.writer.write(sound(200), epoch=0)
    desk.writer.close_utterance(0)

    first, last = desk.take(), desk.take()

    assert first.tolist() == [9000] * 160
    assert last.tolist() == [9000] * 40 + [0] * 120
    assert desk.playout.position(1) == 200
    assert not desk.playout.has_pending(1)


def test_a_frame_over_the_seam_of_the_ring_is_whole() -> None:
    desk = Desk()
    desk.columns.play_write[1] = desk.columns.play_start[1] = desk.columns.played[1] = PLAY_SAMPLES * 3 - 50
    pcm = np.arange(160, dtype=np.int16)
    desk.writer.write(pcm, epoch=0)

    assert desk.take().tolist() == pcm.tolist()


def test_a_fade_rises_over_5_ms_and_once() -> None:
    desk = Desk()
    desk.writer.write(sound(320), epoch=0)
    desk.playout.fades_in[1] = True

    first, second = desk.take(), desk.take()

    assert 0 < first[0] < 400
    assert (np.diff(first[:41]) > 0).all()
    assert set(first[40:].tolist()) == set(second.tolist()) == {9000}


def test_a_flush_reports_the_last_sample_sent_and_hides_the_rest() -> None:
    desk = Desk()
    desk.writer.write(sound(1000), epoch=0)
    desk.take()

    assert desk.playout.flush(1) == 160

    assert desk.writer.epoch == 1
    assert not desk.ready()
    assert desk.playout.position(1) == 160


def test_a_flush_before_the_first_sample_of_an_epoch_reports_its_start() -> None:
    desk = Desk()
    desk.writer.write(sound(1000), epoch=0)
    desk.playout.flush(1)
    desk.writer.write(sound(500), epoch=1)

    assert desk.playout.flush(1) == 1000


def test_samples_of_another_leg_do_not_exist() -> None:
    desk = Desk()
    desk.writer.write(sound(1000), epoch=0)

    desk.columns.generation[1] = 8

    assert not desk.ready()


def test_indices_that_contradict_each_other_are_seen() -> None:
    desk = Desk()
    desk.writer.write(sound(1000), epoch=0)
    assert not desk.playout.survey(ROWS).broken[0]

    desk.columns.play_write[1] = PLAY_SAMPLES + 1
    assert desk.playout.survey(ROWS).broken[0]
    desk.columns.play_write[1] = 10
    desk.columns.played[1] = 11

    assert desk.playout.survey(ROWS).broken[0]


def test_a_new_leg_does_not_begin_in_a_fade() -> None:
    desk = Desk()
    desk.playout.fades_in[1] = True
    desk.writer.write(sound(160), epoch=0)

    desk.playout.restart(1)

    assert (desk.take() == 9000).all()

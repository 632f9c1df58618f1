"""Voices and the floor together: duck on a voice, flush on speech, resume on anything else, and say so.

Every event of a voice or of an utterance is made here. On the normal path nothing of it loops over rows; a
loop runs only over the few rows with which something happened.
"""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.columns import Columns
from bridge.plane.echo import EchoGate
from bridge.plane.events import (
    FLUSH_CAUSES,
    Ducked,
    FlushCause,
    Flushed,
    PlaneEvent,
    PlayoutIdle,
    Resumed,
    SpeechStarted,
    VoiceQuestioned,
    VoiceStarted,
    VoiceStopped,
)
from bridge.plane.floor import DUCKED, IDLE, SPEAKING, Floor, FloorAction, FloorEvent
from bridge.plane.gate import Gate
from bridge.plane.inquiry import Inquiry
from bridge.plane.masks import somewhere
from bridge.plane.meter import Meter
from bridge.plane.playout import Playout
from bridge.plane.spec import DTMF_INTERRUPTS, SPEECH_INTERRUPTS, PlaneSettings

__all__ = ["BargeIn"]

_SUB_FRAME_MS = 10


class BargeIn:
    """Gate, floor and playout of all rows, and what the caller's voice does to ours.

    Args:
        columns: Shared columns.
        playout: What we are saying.
        settings: Thresholds.
        events: Where to append what happened.
    """

    def __init__(
        self, columns: Columns, playout: Playout, settings: PlaneSettings, events: list[PlaneEvent]
    ) -> None:
        self._columns = columns
        self._playout = playout
        self._settings = settings
        self._events = events
        self._frame_samples = np.uint64(columns.shape.frame)
        self._quiet_sub_frames = settings.resume_quiet_ms // _SUB_FRAME_MS
        self.echo: EchoGate = EchoGate(columns)
        self.gate: Gate = Gate(columns.capacity, settings, self.echo)
        self.floor: Floor = Floor(columns, settings)
        self.meter: Meter = Meter(columns)
        self._inquiry = Inquiry(columns, settings)
        self._interruptible = np.zeros(columns.capacity, np.uint8)
        self._needed = np.zeros(columns.capacity, np.int64)
        # One duck per voice and utterance: set where the present voice has not been judged yet.
        self._armed = np.zeros(columns.capacity, np.bool_)

    def open(self, row: int, interruptible: int, sensitivity: int) -> None:
        """Begin with a silent caller and nothing to say."""
        self.set_interruptible(row, interruptible)
        self.set_sensitivity(row, sensitivity)
        self._armed[row] = False
        self._playout.restart(row)
        self.meter.restart(row)
        self.echo.restart(row)
        self.gate.restart(row)
        self.floor.restart(row)
        self._inquiry.restart(row)

    def resume(self, row: int, floor_state: int, *, fades_in: bool, now_ns: int) -> None:
        """Go on with what a row was saying when its process died; a duck of that time is over.

        Called after `open`. With `fades_in` there was a gap: what follows begins softly.
        """
        self._inquiry.resume(row, now_ns=now_ns)
        self.floor.state[row] = floor_state
        if not self._playout.resume(row, fades_in=fades_in and floor_state == SPEAKING):
            self.flush(row, FloorEvent.COMMAND, "command", now_ns=now_ns)
        elif floor_state == DUCKED:
            self._resume(np.array([row]), now_ns)

    def set_sensitivity(self, row: int, sensitivity: int) -> None:
        """Choose how easily this caller takes the floor; below 0 is what all rows are told."""
        level = self._settings.sensitivity if sensitivity < 0 else sensitivity
        self._columns.sensitivity[row] = level
        self._needed[row] = self._settings.speech_evidence + self._settings.evidence_shift[level]
        self.gate.set_sensitivity(row, level)

    def set_interruptible(self, row: int, bits: int) -> None:
        """Change what may interrupt from now on; a duck that is under way ends by its own rules."""
        self._interruptible[row] = bits

    def hear(self, rows: NDArray[np.intp], pcm: NDArray[np.int16], *, now_ns: int) -> None:
        """Take one packet of sound, at 8 kHz, of each of these distinct rows, and act on it at once."""
        exposed = keen = None
        if self._settings.band_evidence[0]:
            exposed, keen = self._closely(rows, now_ns)
        heard = self.gate.hear(rows, pcm, now_ns=now_ns, exposed=exposed, keen=keen)
        self.meter.hear(rows, self.gate.loudest_db[rows])
        for row in rows[heard.opened].tolist():
            self._armed[row] = True
            onset_ns = int(self.gate.onset_ns[row])
            self._events.append(VoiceStarted(row, self._generation(row), now_ns, onset_ns=onset_ns))
        state = self.floor.state[rows]
        # Nothing to decide where we are silent, nor where the caller is and no duck waits for that.
        concerned = np.where(heard.voiced, state != IDLE, state == DUCKED)
        if somewhere(concerned):
            self._interrupt(rows[concerned], heard.voiced[concerned], now_ns)

    def start(self, rows: NDArray[np.intp], positions: NDArray[np.int64], *, now_ns: int) -> None:
        """The first samples of an utterance of each row are about to be sent."""
        self.floor.apply(rows, FloorEvent.STARTED, now_ns=now_ns)
        # A voice that was there before us is judged by what it does from now on.
        self.gate.forget_evidence(rows)
        self.gate.onset_ns[rows] = np.where(self.gate.open[rows], now_ns, self.gate.onset_ns[rows])
        self._armed[rows] = True
        for row, position in zip(rows.tolist(), positions.tolist(), strict=True):
            self._events.append(SpeechStarted(row, self._generation(row), now_ns, position=position))

    def sound(self, rows: NDArray[np.intp], pcm: NDArray[np.int16], *, now_ns: int) -> None:
        """These frames of ours, ``[k, 160]`` at 8 kHz, are being sent."""
        self.echo.sound(rows, now_ns=now_ns)
        self.meter.send(rows, pcm)

    def end(self, rows: NDArray[np.intp], positions: NDArray[np.int64], *, now_ns: int) -> None:
        """The last samples of an utterance of each row were sent."""
        self._announce(rows[self.floor.unannounced[rows]].tolist(), now_ns)
        self._inquiry.close(rows)
        self.floor.apply(rows, FloorEvent.ENDED, now_ns=now_ns)
        for row, position in zip(rows.tolist(), positions.tolist(), strict=True):
            self._events.append(PlayoutIdle(row, self._generation(row), now_ns, position=position))

    def expire(self, rows: NDArray[np.intp], *, now_ns: int) -> None:
        """Do what time alone brings: voices that fell silent, ducks that have lasted long enough."""
        for row in self.gate.close_stale(rows, now_ns=now_ns).tolist():
            ended_ns = int(self.gate.voiced_ns[row])
            self._events.append(VoiceStopped(row, self._generation(row), now_ns, ended_ns=ended_ns))
        overdue = self.floor.is_overdue(rows, now_ns=now_ns) | self._inquiry.is_overdue(rows, now_ns=now_ns)
        if somewhere(overdue):
            self._fall_back(rows[overdue], now_ns)

    def mute(self, rows: NDArray[np.intp], *, now_ns: int) -> None:
        """A silent packet of each of these ducked rows is being built."""
        self._columns.silence_ducked[rows] += np.uint64(1)
        self._columns.ducked_samples[rows] += self._frame_samples
        unannounced = self.floor.unannounced[rows]
        if somewhere(unannounced):
            self._announce(rows[unannounced].tolist(), now_ns)

    def press(self, row: int, *, now_ns: int) -> None:
        """A key went down."""
        if self._interruptible[row] & DTMF_INTERRUPTS and self._playout.has_pending(row):
            self.flush(row, FloorEvent.DIGIT, "dtmf", now_ns=now_ns)

    def judge(self, row: int, *, is_speech: bool, question: int = 0, now_ns: int) -> None:
        """Take a verdict from outside on a duck that is under way, or on the voice that `question` names."""
        asked = self._inquiry.number(row)
        if question not in (0, asked) or not (asked or self.floor.state[row] == DUCKED):
            return
        rows = np.array([row])
        if not is_speech:
            self.gate.forget_evidence(rows)
            self._resume(rows, now_ns)
        elif asked and not self._is_callers(rows, now_ns)[0]:
            self._inquiry.agreed[row] = True
        else:
            self.flush(row, FloorEvent.SPEECH, "speech", now_ns=now_ns)

    def flush(self, row: int, event: FloorEvent, cause: FlushCause, *, now_ns: int) -> None:
        """Forget the rest of what we were saying."""
        self._announce([row] if self.floor.unannounced[row] else [], now_ns)
        self._inquiry.close(np.array([row]))
        # Who speaks wants silence at once; whoever presses a key wants no click in the ear.
        self._columns.flush_cause[row] = FLUSH_CAUSES.index(cause)
        fades = self._settings.fades and cause != "speech" and self.floor.state[row] == SPEAKING
        self.floor.apply(np.array([row]), event, now_ns=now_ns)
        position = self._playout.flush(row, fades=bool(fades))
        epoch = int(self._columns.epoch[row])
        self._events.append(
            Flushed(
                row,
                self._generation(row),
                now_ns,
                position=position,
                epoch=epoch,
                verdict_ns=now_ns,
                cause=cause,
            )
        )

    def _interrupt(self, rows: NDArray[np.intp], voiced: NDArray[np.bool_], now_ns: int) -> None:
        """Let the voices that were just heard act on what we are saying."""
        may = self._interruptible[rows] & SPEECH_INTERRUPTS != 0
        voice = voiced & may & self.gate.open[rows]
        ducks = voice & self._armed[rows] & self.floor.may_duck(rows, now_ns=now_ns)
        if somewhere(ducks):
            self._armed[rows[ducks]] = False
            self.floor.apply(rows[ducks], FloorEvent.VOICE, now_ns=now_ns)
        # Without a duck too: one that must rest does not make us deaf.
        evidence = self.gate.evidence(rows)
        if self._settings.awaits_verdict:
            ducks |= voice & (evidence >= self._settings.question_evidence)
            self._ask(rows[ducks & (self.floor.state[rows] != IDLE) & ~self._inquiry.is_open(rows)], now_ns)
            speech = self._inquiry.agreed[rows] & self._is_callers(rows, now_ns)
        else:
            speech = voice & (evidence >= self._needed[rows])
        for row in rows[speech].tolist():
            self.flush(row, FloorEvent.SPEECH, "speech", now_ns=now_ns)
        calm = self.gate.quiet[rows] >= self._quiet_sub_frames
        calm &= self.floor.state[rows] == DUCKED
        if somewhere(calm):
            self._resume(rows[calm], now_ns)

    def _closely(self, rows: NDArray[np.intp], now_ns: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Where a voice would interrupt us, and where no duck was in vain of late: there even a faint one."""
        exposed = self.floor.state[rows] == SPEAKING
        exposed &= self._interruptible[rows] & SPEECH_INTERRUPTS != 0
        exposed &= self.echo.may_return(rows, now_ns=now_ns)
        keen = self.floor.may_duck(rows, now_ns=now_ns) & self.floor.is_calm(rows, now_ns=now_ns)
        return exposed, keen

    def _is_callers(self, rows: NDArray[np.intp], now_ns: int) -> NDArray[np.bool_]:
        """Where enough was heard that was not ourselves: an echo is speech, too."""
        likely = self.echo.is_known(rows, now_ns=now_ns)
        least = np.where(likely, 2 * self._settings.agreed_evidence, self._settings.agreed_evidence)
        return self.gate.evidence(rows) >= least

    def _ask(self, rows: NDArray[np.intp], now_ns: int) -> None:
        self._inquiry.ask(rows, now_ns=now_ns)
        for row in rows.tolist():
            number = self._inquiry.number(row)
            self._events.append(VoiceQuestioned(row, self._generation(row), now_ns, question=number))

    def _fall_back(self, rows: NDArray[np.intp], now_ns: int) -> None:
        """The time for a verdict is over: the gate's own evidence counts."""
        speech = self._inquiry.is_open(rows) & (self.gate.evidence(rows) >= self._needed[rows])
        for row in rows[speech].tolist():
            self.flush(row, FloorEvent.SPEECH, "speech", now_ns=now_ns)
        if somewhere(~speech):
            self._resume(rows[~speech], now_ns)

    def _resume(self, rows: NDArray[np.intp], now_ns: int) -> None:
        self._inquiry.close(rows)
        self._announce(rows[self.floor.unannounced[rows]].tolist(), now_ns)
        actions = self.floor.apply(rows, FloorEvent.NOISE, now_ns=now_ns)
        for row in rows[actions == FloorAction.RESUME].tolist():
            self._playout.fades_in[row] = True
            position = self._playout.position(row)
            self._events.append(Resumed(row, self._generation(row), now_ns, position=position))

    def _announce(self, rows: list[int], now_ns: int) -> None:
        for row in rows:
            self.floor.unannounced[row] = False
            self._events.append(
                Ducked(
                    row,
                    self._generation(row),
                    now_ns,
                    position=self._playout.position(row),
                    onset_ns=int(self.gate.onset_ns[row]),
                    gate_ns=int(self.floor.ducked_ns[row]),
                )
            )

    def _generation(self, row: int) -> int:
        return int(self._columns.generation[row])

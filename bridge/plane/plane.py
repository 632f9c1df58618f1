"""The media plane: every leg of a process as one row of arrays, served by a handful of operations for all.

Pure: packets and time come in, packets and events go out. `receive` takes what has arrived, up to the voice
gate; `build` makes the next packet of every row whose slot of 20 ms has come.
"""

import numpy as np
from numpy.typing import NDArray

from bridge.plane.apart import Apart
from bridge.plane.arrival import ArrivalRing
from bridge.plane.bargein import BargeIn
from bridge.plane.bed import Beds, silent_shelf
from bridge.plane.columns import Columns
from bridge.plane.events import PlaneEvent, RowFailed
from bridge.plane.floor import DUCKED, IDLE, SPEAKING, FloorEvent
from bridge.plane.intake import Intake
from bridge.plane.keypad import Keypad
from bridge.plane.keys import Keys
from bridge.plane.latch import Latch
from bridge.plane.masks import everywhere, somewhere
from bridge.plane.packets import Arrivals, Departures, PacketBuffer
from bridge.plane.pauses import SID, Pauses
from bridge.plane.playout import Playout, Survey
from bridge.plane.reception import Reception
from bridge.plane.remains import Remains
from bridge.plane.reporting import Reporting
from bridge.plane.rowcodecs import MakeCodec
from bridge.plane.rows import FOREVER_NS, Rows
from bridge.plane.shape import thin
from bridge.plane.spec import PlaneSettings, RowSpec

__all__ = ["FOREVER_NS", "Plane"]

_ONE = np.uint64(1)


class Plane:
    """All rows of one rate in a media process.

    Args:
        columns: The memory shared with the control process.
        settings: Thresholds, the same for all rows.
        wall_offset_ns: What to add to `now_ns` to get nanoseconds since 1970; RTCP tells that time.
        make_codec: Makes the codec of a row that no table decodes; None where there are none such.
        due: Where to tell when packets and when reports are due, ``[2, n]``; None makes arrays for it.
        shelf: Where the beds lie (see `bridge.plane.bed`); None is a shelf of our own.
    """

    def __init__(
        self,
        columns: Columns,
        settings: PlaneSettings,
        *,
        wall_offset_ns: int = 0,
        shelf: NDArray[np.int16] | None = None,
        make_codec: MakeCodec | None = None,
        due: NDArray[np.int64] | None = None,
    ) -> None:
        n, shape = columns.capacity, columns.shape
        due = np.empty((2, n), np.int64) if due is None else due
        self._frame = shape.frame
        self._per_tick = shape.per_tick
        self._columns = columns
        self._events: list[PlaneEvent] = []
        self._latch = Latch(columns, settings)
        self._reception = Reception(columns)
        self._playout = Playout(columns)
        self._beds = Beds(columns, silent_shelf() if shelf is None else shelf)
        self._fades = settings.fades
        self._bargein = BargeIn(columns, self._playout, settings, self._events)
        self._rows = Rows(columns, due_ns=due[0])
        self._pauses = Pauses(columns, self._rows)
        self._reporting = Reporting(
            columns,
            self._rows,
            self._latch,
            self._reception,
            settings,
            wall_offset_ns=wall_offset_ns,
            due_ns=due[1],
        )
        self._apart = Apart(columns, self._rows, self._reporting, make_codec)
        self._codecs = self._apart.codecs
        self._arrival = ArrivalRing(columns, settings, self._codecs.decoders)
        self._packets = PacketBuffer(n)
        self._capture = columns.capture.reshape(n, 2, -1, shape.frame)
        self._keys = Keys(columns, settings, self._bargein, self._events)
        self._keypad = Keypad(columns, self._events)
        self._intake = Intake(
            columns,
            self._rows,
            latch=self._latch,
            reception=self._reception,
            arrival=self._arrival,
            apart=self._apart,
            bargein=self._bargein,
            keys=self._keys,
            reporting=self._reporting,
            events=self._events,
        )
        self.due_ns: NDArray[np.int64] = self._rows.due_ns
        """When the next packet of each row is to be built; `FOREVER_NS` while a row is free."""
        self.report_due_ns: NDArray[np.int64] = self._reporting.due_ns
        """When each row is to be handed to `report`; `FOREVER_NS` while it is free."""

    def open(self, row: int, spec: RowSpec, *, now_ns: int) -> bool:
        """Take a leg into service; whatever the row held before is erased.

        Unless it held this very leg, carried by a process that died: then our stream, our speech and the
        counters go on, all that was learnt from packets is learnt anew, and true is returned.

        Raises:
            ValueError: If the row is in service, or its codec cannot be spoken here.
        """
        if self._rows.open[row]:
            raise ValueError(f"row {row} is in service")
        self._apart.open(row, spec)
        columns = self._columns
        remains = Remains.of(columns, row, spec, now_ns=now_ns)
        if remains is None:
            columns.clear(row)
        missed = self._rows.begin(row, spec, now_ns, remains)
        self._pauses.open(row, spec)
        self._latch.open(row, spec, None if remains is None else remains.remote_key)
        self._reception.open(row)
        self._reporting.open(row, spec, now_ns=now_ns)
        self._arrival.restart(row)
        self._bargein.open(row, spec.interruptible, spec.sensitivity)
        self._playout.set_gain(row, spec.gain_db)
        self._keys.open(row, spec)
        self._keypad.close(row)
        self._beds.close(row)
        if remains is not None:
            self._bargein.resume(row, remains.floor_state, fades_in=missed > 0, now_ns=now_ns)
            return True
        # The generation comes last: from here on the control process may write.
        columns.generation[row] = spec.generation
        return False

    def update(self, row: int, spec: RowSpec, *, now_ns: int) -> None:
        """Take a re-INVITE: our own stream runs on, and so does what is being said.

        Raises:
            ValueError: If the row carries another leg, or the new codec has another rate.
        """
        if not self._rows.open[row] or int(self._columns.generation[row]) != spec.generation:
            raise ValueError(f"row {row} does not carry generation {spec.generation}")
        self._apart.open(row, spec)
        if self._rows.clock_hz[row] != spec.clock_hz:
            self._arrival.restart(row)  # Timestamps count something else from now on.
        self._rows.agree(row, spec)
        self._pauses.open(row, spec)
        self._latch.update(row, spec)
        self._reporting.update(row, spec)
        self._bargein.set_interruptible(row, spec.interruptible)
        self._keys.update(row, spec, now_ns=now_ns)
        self._bargein.set_sensitivity(row, spec.sensitivity)
        self._playout.set_gain(row, spec.gain_db)

    def close(self, row: int) -> None:
        """Free a row, and erase it so that no later leg hears this one; harmless when it is free."""
        self._rows.end(row)
        self._reporting.close(row)
        self._keys.close(row)
        self._keypad.close(row)
        self._beds.close(row)
        self._pauses.close(row)
        self._apart.close(row)
        self._columns.generation[row] = 0
        self._columns.clear(row)
        self._arrival.restart(row)

    def set_interruptible(self, row: int, bits: int) -> None:
        """Bits: 1 speech, 2 dtmf."""
        self._bargein.set_interruptible(row, bits)

    def set_sensitivity(self, row: int, sensitivity: int) -> None:
        """Choose how easily a voice takes the floor: 0 low, 1 medium, 2 high; -1 as all rows are told."""
        self._bargein.set_sensitivity(row, sensitivity)

    def flush(self, row: int, *, now_ns: int) -> None:
        """Forget what was written and not sent, because the agent says stop."""
        if self._rows.open[row]:
            self._bargein.flush(row, FloorEvent.COMMAND, "command", now_ns=now_ns)

    def verdict(self, row: int, *, epoch: int, is_speech: bool, question: int = 0, now_ns: int) -> None:
        """Decide from outside whether a voice is speech; one of an older epoch or question is ignored.

        Question 0 is whatever duck is under way.
        """
        if self._rows.open[row] and int(self._columns.epoch[row]) == epoch:
            self._bargein.judge(row, is_speech=is_speech, question=question, now_ns=now_ns)

    def key(self, row: int, digit: str, *, duration_ms: int, now_ns: int) -> None:
        """Take a key of the caller's that signalling was told of (SIP INFO)."""
        if self._rows.open[row]:
            self._keys.take_info(row, digit, duration_ms=duration_ms, now_ns=now_ns)

    def press(
        self, row: int, digits: str, *, ticket: int, duration_ms: int, pause_ms: int, now_ns: int
    ) -> None:
        """Press keys of ours; `KeysSent` says when it is done. Speech waits meanwhile where it is."""
        if self._rows.open[row]:
            self._keypad.press(
                row, digits, ticket=ticket, duration_ms=duration_ms, pause_ms=pause_ms, now_ns=now_ns
            )

    def release(self, row: int) -> None:
        """Press no more keys; the one that is down comes up."""
        self._keypad.release(row)

    def lay(
        self, row: int, bed: int, *, samples: int, gain_db: int, under_speech_db: int, yields: bool
    ) -> None:
        """Let a row play a bed under its speech; see `Beds.lay`.

        Raises:
            ValueError: If there is no such bed, or a level is out of range.
        """
        if self._rows.open[row]:
            self._beds.lay(
                row,
                bed,
                samples=samples,
                gain_db=gain_db,
                under_speech_db=under_speech_db,
                yields=yields,
            )

    def lift(self, row: int) -> None:
        """Let a row's bed fade out."""
        self._beds.lift(row)

    def next_sequence(self, row: int) -> int:
        """Sequence number of the next packet that a row sends."""
        return int(self._rows.sequence[row])

    def destination(self, row: int) -> int:
        """Where a row sends, ``ip << 16 | port``; 0 = nowhere yet."""
        return int(self._columns.remote_key[row])

    def peer_ssrc(self, row: int) -> int:
        """The stream that a row listens to; below 0 while it has heard none."""
        return self._latch.peer_ssrc(row)

    @property
    def turned_away(self) -> int:
        """Packets of strangers that the last `receive` dropped together, because some row had several."""
        return self._intake.turned_away

    def drain(self) -> list[PlaneEvent]:
        """Events since the last call, in order."""
        events = self._events.copy()
        self._events.clear()
        return events

    def receive(self, arrivals: Arrivals, *, now_ns: int, index: NDArray[np.intp] | None = None) -> None:
        """Take the packets of one tick, in the order of their arrival: those at `index`, if it is given."""
        self._intake.receive(arrivals, now_ns=now_ns, index=index)

    def build(self, rows: NDArray[np.intp], *, now_ns: int) -> Departures:
        """Make one packet for each of these distinct rows, and move all of them on by 20 ms."""
        rows = rows[self._rows.open[rows]]
        self._expire(rows, now_ns)
        self._rows.catch_up(rows, self._columns, now_ns)
        survey = self._playout.survey(rows)
        if somewhere(survey.broken):
            self._fail(rows[survey.broken], "the indices of its playout ring contradict each other", now_ns)
            rows = rows[~survey.broken]
            survey = self._playout.survey(rows)
        sends = self._rows.sending[rows] & (self._columns.remote_key[rows] != 0)
        strokes = self._keypad.step(rows, sends, self._rows, now_ns=now_ns)
        keys = None if strokes is None else strokes.where
        waits = self._pauses.waits(rows, survey, sends, keys) if self._pauses.count else None
        pcm = self._speak(rows, survey, sends, keys, now_ns)
        if strokes is not None:
            strokes.sound(pcm)
        heard = self._arrival.pop(rows, ~self._bargein.gate.open[rows], self._rows.due_ns[rows])
        self._keys.hear(rows, heard, now_ns=now_ns)
        self._record(rows, heard, pcm)
        apart = self._apart.among(rows)
        pause = None if waits is None else self._pauses.step(rows, pcm, waits=waits, sends=sends)
        plain = sends if apart is None else sends & ~apart
        if pause is not None:
            plain = plain & (pause.sids | ~pause.rests)
        departures = self._pack(rows, pcm, plain, now_ns)
        if strokes is not None:
            # What is packed are the rows that send: a row's place among them.
            told = strokes if apart is None else strokes.only(plain[strokes.events])
            self._packets.replace(np.cumsum(plain)[told.events] - 1, told)
        if pause is not None:
            told_of = (plain & pause.sids).nonzero()[0]
            self._packets.comfort(
                np.cumsum(plain)[told_of] - 1, self._pauses.payload_types(rows[told_of]), SID
            )
        self._reporting.sent(departures)
        if apart is not None and somewhere(apart):
            others = self._apart.pack(rows, pcm, strokes=strokes, pause=pause, now_ns=now_ns)
            departures = Departures.join((departures, others))
        self._rows.advance(rows, plain)
        if pause is not None:
            self._pauses.end_slot(rows, pause)
        if apart is not None:
            for row, message in self._apart.drain():
                self._fail(np.array([row]), message, now_ns)
        self._reporting.review(rows, now_ns=now_ns)
        return departures

    def report(self, rows: NDArray[np.intp], *, now_ns: int) -> Departures:
        """Make the RTCP reports of these rows, which are due; no more than a few dozen of them."""
        return self._reporting.report(rows, now_ns=now_ns)

    def farewell(self, row: int, *, now_ns: int) -> Departures:
        """Say goodbye by RTCP for a row that is about to be closed; empty if there is nobody to hear it."""
        return self._reporting.farewell(row, now_ns=now_ns)

    def _expire(self, rows: NDArray[np.intp], now_ns: int) -> None:
        """Do what time alone brings."""
        self._bargein.expire(rows, now_ns=now_ns)
        self._keys.expire(now_ns=now_ns)

    def _speak(
        self,
        rows: NDArray[np.intp],
        survey: Survey,
        sends: NDArray[np.bool_],
        keys: NDArray[np.bool_] | None,
        now_ns: int,
    ) -> NDArray[np.int16]:
        """Next frame of each row, ``[m, shape.frame]``; where it is silent, why is counted."""
        state = self._bargein.floor.state
        talks = sends if keys is None else sends & ~keys
        ready = survey.ready & talks
        starts = ready & (state[rows] == IDLE)
        if somewhere(starts):
            self._bargein.start(rows[starts], survey.reads[starts], now_ns=now_ns)
        plays = ready & (state[rows] == SPEAKING)
        pcm = np.zeros((len(rows), self._frame), np.int16)
        left = survey.available
        if somewhere(plays):
            pcm[plays] = self._playout.take(rows[plays], survey.reads[plays], left[plays])
            left = left - np.where(plays, np.minimum(left, self._frame), 0)
        silent = ~plays
        if somewhere(silent):
            self._be_silent(rows, silent, survey, sends=sends, talks=talks, now_ns=now_ns)
        self._playout.fade_out(rows, silent, pcm)
        sounds = plays
        if self._beds.count:
            caller_speaks = self._bargein.gate.open[rows]
            sounds = plays | self._beds.mix(rows, pcm, sends=sends, keys=keys, caller_speaks=caller_speaks)
        if somewhere(sounds):
            self._bargein.sound(rows[sounds], thin(pcm[sounds], self._per_tick), now_ns=now_ns)
        ends = (state[rows] != IDLE) & ~survey.open & (left == 0)
        if somewhere(ends):
            positions = survey.reads[ends] + survey.available[ends]
            self._bargein.end(rows[ends], positions, now_ns=now_ns)
        return pcm

    def _be_silent(
        self,
        rows: NDArray[np.intp],
        silent: NDArray[np.bool_],
        survey: Survey,
        *,
        sends: NDArray[np.bool_],
        talks: NDArray[np.bool_],
        now_ns: int,
    ) -> None:
        """Count why these rows say nothing, and let end softly what stops in the middle of its sound."""
        columns, states = self._columns, self._bargein.floor.state[rows]
        ducked = silent & talks & (states == DUCKED)
        if somewhere(ducked):
            self._bargein.mute(rows[ducked], now_ns=now_ns)
        undecided = silent & talks & ~ducked
        columns.silence_tts_late[rows[undecided & survey.open]] += _ONE
        columns.silence_idle[rows[undecided & ~survey.open]] += _ONE
        columns.silence_held[rows[silent & ~self._rows.sending[rows]]] += _ONE
        stops = silent & (states == SPEAKING)
        if somewhere(stops):
            # Late speech or keys of ours; where no packet leaves, nothing can be heard of an end.
            cut = stops & sends
            if self._fades and somewhere(cut):
                self._playout.let_go(rows[cut], survey.reads[cut], survey.available[cut])
            self._playout.fades_in[rows[stops & ~undecided]] = True

    def _record(self, rows: NDArray[np.intp], heard: NDArray[np.int16], sent: NDArray[np.int16]) -> None:
        """Append one frame to both lanes of the capture rings."""
        write = self._columns.capture_write.view(np.int64)
        at = write[rows]
        place = at // self._frame % self._capture.shape[2]
        self._capture[rows, 0, place] = heard
        self._capture[rows, 1, place] = sent
        write[rows] = at + self._frame

    def _pack(
        self, rows: NDArray[np.intp], pcm: NDArray[np.int16], sends: NDArray[np.bool_], now_ns: int
    ) -> Departures:
        mine = self._rows
        if not everywhere(sends):
            rows, pcm = rows[sends], pcm[sends]
        payloads = mine.encode(rows, pcm)
        self._columns.tx_packets[rows] += _ONE
        self._columns.tx_late[rows] += mine.is_late(rows, now_ns)
        return self._packets.build(
            rows=rows,
            destinations=self._columns.remote_key[rows],
            seconds=mine.second_byte(rows),
            sequences=mine.sequence[rows],
            timestamps=mine.timestamp[rows],
            ssrcs=mine.ssrc[rows],
            payloads=payloads,
        )

    def _fail(self, rows: NDArray[np.intp], message: str, now_ns: int) -> None:
        """End these rows; the others never notice."""
        for row in rows.tolist():
            self._rows.end(row)
            self._keys.close(row)
            self._keypad.close(row)
            self._beds.close(row)
            self._pauses.close(row)
            generation = int(self._columns.generation[row])
            self._events.append(RowFailed(row, generation, now_ns, message=message))

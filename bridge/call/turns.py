"""Our turns: words become speech, speech is played, and we learn what of it was heard.

One utterance at a time. Its samples go into the leg's ring under the epoch read at its start; a
flush in the media process raises the epoch, so nothing written late can follow it. All positions
are sample indices of the leg's playout, which is what makes "heard" exact.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from weakref import proxy

import numpy as np
from numpy.typing import NDArray

from bridge.aio.patience import PAUSES_S
from bridge.aio.script import Script
from bridge.audio import OpusFormat, PcmFormat
from bridge.call.floor import Floor
from bridge.call.opus_speech import OpusSpeech, Packets
from bridge.call.trace import BargeInRecord, CallTrace, UtteranceRecord
from bridge.call.utterance import Utterance, Workshop
from bridge.errors import CallEnded, SynthesisError
from bridge.plane.events import (
    Ducked,
    Flushed,
    PlaneEvent,
    PlayoutIdle,
    Resumed,
    SpeechStarted,
    VoiceStarted,
    VoiceStopped,
)
from bridge.plane.ring import PlayoutWriter
from bridge.plane.spec import SENSITIVITIES
from bridge.ports import Clock, Speech, Synthesizer, Voice
from bridge.speech.heard import Heard

__all__ = ["INTERRUPTIBLE", "Said", "Speaker", "SpeakingLeg"]

INTERRUPTIBLE = {"none": 0, "speech": 1, "dtmf": 2, "any": 3}

_BOUND_FOR_NS = 15_000_000_000
"""How long a task that was started ahead of its text may wait for it: the service gives up after 23 s."""
_FLUSH_S = 0.5
"""Longest wait for the media process to confirm a flush: a way through a pipe and back."""


@dataclass(frozen=True, slots=True)
class Said:
    """What became of one utterance; ``heard + unheard`` is the whole text."""

    heard: str
    unheard: str
    interrupted: bool
    estimated: bool = False
    """True when the service gave no word times for the sentence that was cut."""
    cause: str = ""
    """What interrupted: ``speech``, ``dtmf`` or ``command``. The digit comes when its key is released."""


class SpeakingLeg(Protocol):
    """What a speaker needs of a leg; `bridge.engine.supervisor.MediaLeg` in life."""

    @property
    def writer(self) -> PlayoutWriter: ...
    def set_interruptible(self, bits: int) -> None: ...
    def set_sensitivity(self, sensitivity: int) -> None: ...
    def flush(self) -> None: ...


class Speaker:
    """Says things on one leg, one after the other, and stops when the floor is taken.

    Args:
        leg: The open leg.
        synthesizer: Where speech comes from.
        voice: Who speaks.
        format: The leg's own sampling rate, so that nothing needs resampling; Ogg Opus for a leg that can
            pass its packets on.
        clock: For the marks.
        trace: Receives one record per utterance and per interruption.
        on_barge_in: Called with an interruption's record when it is complete up to t6, and again at t7.
        on_utterance: Called with an utterance's record when its first sample has left, and when it is over.
        retry_pauses_s: Before each new try with a service that failed.
    """

    def __init__(
        self,
        leg: SpeakingLeg,
        synthesizer: Synthesizer,
        *,
        voice: Voice,
        format: PcmFormat | OpusFormat,
        clock: Clock,
        trace: CallTrace,
        on_barge_in: Callable[[BargeInRecord], None] = lambda record: None,
        on_utterance: Callable[[UtteranceRecord], None] = lambda record: None,
        retry_pauses_s: tuple[float, ...] = PAUSES_S,
    ) -> None:
        self.interruptible: int = INTERRUPTIBLE["any"]
        """What may stop the present or the last utterance, as bits of `RowSpec.interruptible`."""
        self.sensitivity: int = -1
        """How easily that utterance is interrupted, as `RowSpec.sensitivity` has it."""
        self._leg = leg
        self._packets: Packets | None = Packets() if isinstance(format, OpusFormat) else None
        self._rate_hz = format.rate
        self._ask: Callable[[], Speech] = partial(synthesizer.speak, voice, format)
        self._clock = clock
        self._trace = trace
        self._on_barge_in = on_barge_in
        self._on_utterance = on_utterance
        self._floor = Floor()
        self._turn: Utterance | None = None
        self._bound: Speech | None = None
        self._bound_at_ns = 0
        self._duck: Ducked | None = None
        self._caller_voice: VoiceStarted | None = None
        self._is_closed = False
        # Weakly, so that a call which is over goes at once and no collector has to find it. A method of a
        # proxy is bound to what is behind it: only the lambdas look it up each time.
        me: Speaker = proxy(self)
        self._workshop = Workshop(
            writer=leg.writer,
            rate=format.rate,
            clock=clock,
            take_speech=lambda: me._take_speech(),  # noqa: PLW0108
            note_text=lambda now_ns: me._note_text(now_ns),  # noqa: PLW0108
            is_closed=lambda: me._is_closed,
            packets=self._packets,
            retry_pauses_s=retry_pauses_s,
        )

    def _new_speech(self) -> Speech:
        speech = self._ask()
        return speech if self._packets is None else OpusSpeech(speech, self._rate_hz, self._packets)

    def bind(self) -> Speech:
        """Take a warm connection now, so that the next words find their task already started."""
        if self._bound is None:
            self._bound = self._new_speech()
            self._bound_at_ns = self._clock.now_ns()
        return self._bound

    async def say(
        self,
        text: str | AsyncIterator[str],
        *,
        interruptible: str = "any",
        sensitivity: str | None = None,
        first: bool = False,
        label: str = "",
    ) -> Said:
        """Speak, and return once it was heard to the end or the floor was taken.

        Cancelled, it falls silent at once.

        Args:
            text: What to say.
            interruptible: One of `INTERRUPTIBLE`.
            sensitivity: One of `SENSITIVITIES`; None is as configured.
            first: Stop what is being said now, and come before whoever waits.
            label: What the utterance is called in its record.

        Raises:
            SynthesisError: If the voice fails and trying again did not help; what was made is heard first.
            CallEnded: If the call is over.
            KeyError: If `interruptible` is none of `INTERRUPTIBLE`.
            ValueError: If there is no such sensitivity.
        """
        terms = _terms(interruptible, sensitivity)
        async with self._turn_of(*terms, first=first, label=label) as turn:
            script = Script(text)
            try:
                flushed = await self._race(turn, turn.speak(script))
            except SynthesisError as error:
                turn.record.failure = error.code
                raise
            except asyncio.CancelledError:
                # Hung up, or given up by the agent: what was played so far is what was heard.
                _split(turn, script.text, max(turn.record.start_sample, self._leg.writer.played))
                raise
            finally:
                turn.record.text = script.text
                await script.close()
                await self._leave_floor(turn)
            if flushed is None:
                turn.record.heard = script.text
                return Said(heard=script.text, unheard="", interrupted=False)
            outcome = _split(turn, script.text, flushed.position)
            turn.record.interrupted, turn.record.cause = True, flushed.cause
            return Said(
                outcome.heard,
                outcome.unheard,
                interrupted=True,
                estimated=outcome.estimated,
                cause=flushed.cause,
            )

    async def play(
        self,
        pcm: NDArray[np.int16],
        *,
        interruptible: str = "any",
        sensitivity: str | None = None,
        first: bool = False,
        label: str = "",
    ) -> float:
        """Play recorded sound at the leg's rate; return the seconds of it that were heard.

        Further arguments are those of `say`.

        Raises:
            CallEnded: If the call is over.
            KeyError: If `interruptible` is none of `INTERRUPTIBLE`.
            ValueError: If there is no such sensitivity.
        """
        terms = _terms(interruptible, sensitivity)
        async with self._turn_of(*terms, first=first, label=label) as turn:
            try:
                flushed = await self._race(turn, turn.put(pcm))
            finally:
                await self._leave_floor(turn)
            end = flushed.position if flushed else turn.written
            turn.record.interrupted, turn.record.end_sample = flushed is not None, end
            turn.record.cause = flushed.cause if flushed else ""
            return (end - turn.record.start_sample) / self._workshop.rate

    def has_begun(self, label: str) -> bool:
        """Whether an utterance of this label has had the floor, or has it now."""
        return any(record.label == label for record in reversed(self._trace.utterances))

    def stop(self) -> bool:
        """Let what is being said or played now end at once; True if there was anything.

        Whoever said it is told that it was interrupted, with ``command`` as the cause.
        """
        turn = self._turn
        if turn is None or turn.is_stopped:
            return False
        turn.is_stopped = True
        self._leg.flush()
        return True

    async def close(self) -> None:
        """Abandon whatever is in the making; the call is over, and so is whoever still speaks to it."""
        self._is_closed = True
        if self._bound is not None:
            bound, self._bound = self._bound, None
            await bound.cancel()

    def on_event(self, event: PlaneEvent) -> None:
        """Take note of what the media process reports; called on the loop, in order."""
        match event:
            case SpeechStarted():
                self._note_audible(event)
            case PlayoutIdle():
                self._note_idle(event)
            case Ducked():
                self._duck = event
            case Resumed():
                self._duck = None
                self._trace.false_alarms += 1
            case VoiceStarted():
                self._caller_voice = event
            case VoiceStopped():
                self._caller_voice = None
            case Flushed():
                self._note_flush(event)

    @asynccontextmanager
    async def _turn_of(
        self, bits: int, sensitivity: int, *, first: bool, label: str
    ) -> AsyncIterator[Utterance]:
        """Hold the floor for one utterance, and tell its record when that is over."""
        if first:
            self.stop()  # and be in the queue before its holder learns of it
        async with self._floor.turn(first=first):
            turn = self._take_floor(bits, sensitivity, label)
            try:
                yield turn
            finally:
                turn.record.is_over, turn.record.ended_ns = True, self._clock.now_ns()
                self._on_utterance(turn.record)

    def _take_floor(self, bits: int, sensitivity: int, label: str) -> Utterance:
        if self._is_closed:
            raise CallEnded("nobody is on the line")
        writer = self._leg.writer
        epoch = writer.epoch
        writer.begin(epoch)
        writer.open_utterance(epoch)
        self.interruptible = bits
        self._leg.set_interruptible(bits)
        if sensitivity != self.sensitivity:
            self.sensitivity = sensitivity
            self._leg.set_sensitivity(sensitivity)
        index = writer.write_index
        record = UtteranceRecord(start_sample=index, end_sample=index, label=label)
        self._trace.say(record)
        self._turn = Utterance(self._workshop, epoch=epoch, record=record)
        return self._turn

    def note_progress(self) -> None:
        """Bring the record of what is being said up to date: its text, and what was heard of it so far."""
        turn = self._turn
        if turn is None or turn.script is None or turn.record.is_over or turn.flushed.done():
            return
        record, text = turn.record, turn.script.text
        position = min(max(record.start_sample, self._leg.writer.played), turn.written)
        record.text, record.heard = text, turn.heard(text, position).heard

    async def _leave_floor(self, turn: Utterance) -> None:
        self._leg.writer.close_utterance(turn.epoch)
        try:
            await turn.cancel()
            if turn.is_pending and not turn.is_stopped:
                # Abandoned in mid-sentence: what the ring still holds must not be heard under the next one.
                turn.is_stopped = True
                self._leg.flush()
            if turn.is_stopped and not turn.flushed.done():
                # A flush that is still on its way would cut the next one.
                await asyncio.wait({turn.flushed}, timeout=_FLUSH_S)
        finally:
            self._turn = None

    async def _race(self, turn: Utterance, work: Coroutine[Any, Any, None]) -> Flushed | None:
        """Run `work` and the playout to their end, unless a flush comes first."""
        making = asyncio.create_task(work, name="making")
        try:
            ends: set[asyncio.Future[Any]] = {making, turn.flushed}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not turn.flushed.done():
                failure = making.exception()
                turn.is_written = failure is None
                await self._drained(turn)
                if failure is not None and not turn.flushed.done():
                    raise failure
            if not turn.flushed.done():
                return None
            flushed = turn.flushed.result()
            await self._interrupted(turn, flushed)
            return flushed
        finally:
            if not making.done():
                making.cancel()
                await asyncio.wait({making})

    async def _drained(self, turn: Utterance) -> None:
        """Wait until the last sample written has left, or a flush."""
        writer = self._leg.writer
        writer.close_utterance(turn.epoch)
        ends: set[asyncio.Future[Any]] = {turn.idle, turn.flushed}
        while turn.is_pending and not self._is_closed:
            left_s = (turn.written - writer.played) / self._workshop.rate
            # The event normally ends this wait; the timeout covers a report lost to a full pipe.
            await asyncio.wait(ends, timeout=left_s + 0.1, return_when=asyncio.FIRST_COMPLETED)
            if turn.flushed.done() or turn.idle.done():
                return
        if self._is_closed or not writer.is_open:
            raise CallEnded("nobody is on the line")
        if writer.epoch != turn.epoch and not turn.flushed.done():
            await turn.flushed  # the shared epoch is quicker than the event pipe

    async def _interrupted(self, turn: Utterance, flushed: Flushed) -> None:
        """Cancel what is still being made and bind the next connection: t4 to t6."""
        record = BargeInRecord(cause=flushed.cause, position=flushed.position)
        if (duck := self._duck) is not None:
            record.t0, record.t1, record.t2 = duck.onset_ns, duck.gate_ns, duck.at_ns
            self._duck = None
        elif flushed.cause == "speech" and (voice := self._caller_voice) is not None:
            # Judged without a duck, while ducks rested: the flush itself is what silenced us.
            # A voice that was there before us is judged from our own first sound on.
            since_ns = turn.record.first_audio_ns or 0
            record.t0, record.t1 = max(voice.onset_ns, since_ns), max(voice.at_ns, since_ns)
            record.t2 = flushed.at_ns
        record.t3, record.t4 = flushed.verdict_ns, flushed.at_ns
        record.t5 = await turn.cancel()
        record.t6 = self.bind().bound_ns or None
        self._trace.interrupt(record)
        self._on_barge_in(record)

    async def _take_speech(self) -> Speech:
        speech, self._bound = self._bound, None
        if speech is not None and self._clock.now_ns() - self._bound_at_ns > _BOUND_FOR_NS:
            await speech.cancel()
            speech = None
        return speech if speech is not None else self._new_speech()

    def _note_flush(self, event: Flushed) -> None:
        turn = self._turn
        if turn is None or event.epoch <= turn.epoch:
            self._duck = None  # it cut an utterance that is over
        elif not turn.flushed.done():
            turn.flushed.set_result(event)

    def _note_idle(self, event: PlayoutIdle) -> None:
        turn = self._turn
        if turn is None or turn.idle.done() or not turn.is_written:
            return  # an earlier turn's end, or a gap that the service is about to fill
        if event.position >= turn.written:
            turn.idle.set_result(None)

    def _note_audible(self, event: SpeechStarted) -> None:
        if self._turn is None or event.position < self._turn.record.start_sample:
            return
        if self._turn.record.first_audio_ns is None:
            self._turn.record.first_audio_ns = event.at_ns
            self._on_utterance(self._turn.record)
        last = self._last_barge_in()
        if last is not None and last.t7 is None:
            last.t7 = event.at_ns
            if last.t6 is None:
                last.t6 = self._turn.bound_ns
            self._on_barge_in(last)

    def _note_text(self, now_ns: int) -> None:
        last = self._last_barge_in()
        if last is not None and last.next_text is None:
            last.next_text = now_ns

    def _last_barge_in(self) -> BargeInRecord | None:
        return self._trace.barge_ins[-1] if self._trace.barge_ins else None


def _terms(interruptible: str, sensitivity: str | None) -> tuple[int, int]:
    """What the media process is told of an utterance: bits of what may interrupt it, and how easily."""
    if sensitivity is None:
        return INTERRUPTIBLE[interruptible], -1
    if sensitivity not in SENSITIVITIES:
        raise ValueError(f"sensitivity must be one of {', '.join(SENSITIVITIES)}, not {sensitivity!r}")
    return INTERRUPTIBLE[interruptible], SENSITIVITIES.index(sensitivity)


def _split(turn: Utterance, text: str, position: int) -> Heard:
    """Keep in the utterance's record what was heard of it before the sample `position`."""
    record = turn.record
    position = min(position, turn.written)
    outcome = turn.heard(text, position)
    record.end_sample = position
    record.estimated = outcome.estimated
    record.heard, record.unheard = outcome.heard, outcome.unheard
    return outcome

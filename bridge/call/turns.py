"""Our turns: words become speech, speech is played, and we learn what of it was heard.

One utterance at a time. Its samples go into the leg's ring under the epoch read at its start; a
flush in the media process raises the epoch, so nothing written late can follow it. All positions
are sample indices of the leg's playout, which is what makes "heard" exact.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bridge.audio import PcmFormat
from bridge.call.patience import PAUSES_S, Patience
from bridge.call.script import Script
from bridge.call.trace import BargeInRecord, CallTrace, UtteranceRecord
from bridge.errors import SynthesisError
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
from bridge.ports import Clock, Speech, Synthesizer, Voice, WordTime
from bridge.speech.heard import heard

__all__ = ["INTERRUPTIBLE", "Said", "Speaker", "SpeakingLeg"]

INTERRUPTIBLE = {"none": 0, "speech": 1, "dtmf": 2, "any": 3}

_LOW_WATER_S = 2.0
"""Refill the ring (4 s) when this much is left: two wake-ups a second, and a second to be late by."""
_PATIENCE_S = 12.0
"""The service gives up on a task after 23 s without text (§1.7); we end the task well before."""
_BOUND_FOR_NS = 15_000_000_000
"""How long a task that was started ahead of its text may wait for it, for the same reason."""


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
    def flush(self) -> None: ...


@dataclass(slots=True)
class _Part:
    """One task's share of an utterance; a second one follows when a service fails or a source pauses."""

    speech: Speech
    text_offset: int
    start_sample: int
    sent: int = 0


@dataclass(slots=True)
class _Turn:
    """The utterance that holds the floor."""

    record: UtteranceRecord
    epoch: int
    flushed: "asyncio.Future[Flushed]"
    idle: "asyncio.Future[None]"
    is_written: bool = False
    """Whether all of its sound is in the ring."""
    parts: list[_Part] = field(default_factory=list)

    def words(self, rate: int) -> list[WordTime]:
        """Word times of all parts, counted from the utterance's own start."""
        out: list[WordTime] = []
        for part in self.parts:
            shift_ms = (part.start_sample - self.record.start_sample) * 1000 // rate
            out += [
                WordTime(
                    text=word.text,
                    begin_index=word.begin_index + part.text_offset,
                    end_index=word.end_index + part.text_offset,
                    begin_ms=word.begin_ms + shift_ms,
                    end_ms=word.end_ms + shift_ms,
                )
                for word in part.speech.words
            ]
        return out


class Speaker:
    """Says things on one leg, one after the other, and stops when the floor is taken.

    Args:
        leg: The open leg.
        synthesizer: Where speech comes from.
        voice: Who speaks.
        format: The leg's own sampling rate, so that nothing needs resampling.
        clock: For the marks.
        trace: Receives one record per utterance and per interruption.
        on_barge_in: Called with an interruption's record when it is complete up to t6, and again at t7.
        retry_pauses_s: Before each new try with a service that failed.
    """

    def __init__(
        self,
        leg: SpeakingLeg,
        synthesizer: Synthesizer,
        *,
        voice: Voice,
        format: PcmFormat,
        clock: Clock,
        trace: CallTrace,
        on_barge_in: Callable[[BargeInRecord], None] = lambda record: None,
        retry_pauses_s: tuple[float, ...] = PAUSES_S,
    ) -> None:
        self.interruptible: int = INTERRUPTIBLE["any"]
        """What may stop the present or the last utterance, as bits of `RowSpec.interruptible`."""
        self._leg = leg
        self._synthesizer = synthesizer
        self._voice = voice
        self._format = format
        self._clock = clock
        self._trace = trace
        self._on_barge_in = on_barge_in
        self._retry_pauses_s = retry_pauses_s
        self._floor = asyncio.Lock()
        self._turn: _Turn | None = None
        self._bound: Speech | None = None
        self._bound_at_ns = 0
        self._duck: Ducked | None = None
        self._caller_voice: VoiceStarted | None = None

    def bind(self) -> Speech:
        """Take a warm connection now, so that the next words find their task already started."""
        if self._bound is None:
            self._bound = self._synthesizer.speak(self._voice, self._format)
            self._bound_at_ns = self._clock.now_ns()
        return self._bound

    async def say(self, text: str | AsyncIterator[str], *, interruptible: str = "any") -> Said:
        """Speak, and return once it was heard to the end or the caller took the floor.

        Raises:
            SynthesisError: If the voice fails and trying again did not help.
            KeyError: If `interruptible` is none of `INTERRUPTIBLE`.
        """
        bits = INTERRUPTIBLE[interruptible]
        script = Script(text)
        async with self._floor:
            turn = self._take_floor(bits)
            try:
                flushed = await self._race(turn, self._speak(script, turn))
            except SynthesisError as error:
                turn.record.failure = error.code
                raise
            finally:
                turn.record.text = script.text
                await script.close()
                await self._leave_floor(turn)
            return self._account(turn, script.text, flushed)

    async def play(self, pcm: NDArray[np.int16], *, interruptible: str = "any") -> float:
        """Play recorded sound at the leg's rate; return the seconds of it that were heard."""
        async with self._floor:
            turn = self._take_floor(INTERRUPTIBLE[interruptible])
            try:
                flushed = await self._race(turn, self._put(pcm, turn))
            finally:
                await self._leave_floor(turn)
            end = flushed.position if flushed else turn.record.end_sample
            turn.record.interrupted, turn.record.end_sample = flushed is not None, end
            return (end - turn.record.start_sample) / self._format.rate

    async def close(self) -> None:
        """Abandon whatever is in the making; the call is over."""
        if self._bound is not None:
            bound, self._bound = self._bound, None
            await bound.cancel()

    def on_event(self, event: PlaneEvent) -> None:
        """Take note of what the media process reports; called on the loop, in order."""
        match event:
            case SpeechStarted():
                self._stamp_audible(event)
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
                if self._turn is not None and not self._turn.flushed.done():
                    self._turn.flushed.set_result(event)

    def _note_idle(self, event: PlayoutIdle) -> None:
        turn = self._turn
        if turn is None or turn.idle.done() or not turn.is_written:
            return  # an earlier turn's end, or a gap that the service is about to fill
        if event.position >= turn.record.end_sample:
            turn.idle.set_result(None)

    def _take_floor(self, bits: int) -> _Turn:
        writer = self._leg.writer
        epoch = writer.epoch
        writer.begin(epoch)
        writer.open_utterance(epoch)
        self.interruptible = bits
        self._leg.set_interruptible(bits)
        index = writer.write_index
        record = UtteranceRecord(start_sample=index, end_sample=index)
        self._trace.utterances.append(record)
        loop = asyncio.get_running_loop()
        self._turn = _Turn(record, epoch, flushed=loop.create_future(), idle=loop.create_future())
        return self._turn

    async def _leave_floor(self, turn: _Turn) -> None:
        self._leg.writer.close_utterance(turn.epoch)
        self._turn = None
        if turn.parts:
            await turn.parts[-1].speech.cancel()  # harmless when it has ended, or was cancelled at the flush

    async def _race(self, turn: _Turn, work: Coroutine[Any, Any, None]) -> Flushed | None:
        """Run `work` and the playout to their end, unless a flush comes first."""
        making = asyncio.create_task(work, name="making")
        try:
            ends: set[asyncio.Future[Any]] = {making, turn.flushed}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not turn.flushed.done():
                making.result()
                turn.is_written = True
                await self._drained(turn)
            if not turn.flushed.done():
                return None
            flushed = turn.flushed.result()
            await self._interrupted(turn, flushed)
            return flushed
        finally:
            if not making.done():
                making.cancel()
                await asyncio.wait({making})

    async def _interrupted(self, turn: _Turn, flushed: Flushed) -> None:
        """Cancel what is still being made and bind the next connection: t4 to t6."""
        record = BargeInRecord(cause=flushed.cause, position=flushed.position)
        if (duck := self._duck) is not None:
            record.t0, record.t1, record.t2 = duck.onset_ns, duck.gate_ns, duck.at_ns
            self._duck = None
        elif flushed.cause == "speech" and (voice := self._caller_voice) is not None:
            # Judged without a duck, while ducks rested: the flush itself is what silenced us.
            record.t0, record.t1, record.t2 = voice.onset_ns, voice.at_ns, flushed.at_ns
        record.t3, record.t4 = flushed.verdict_ns, flushed.at_ns
        if turn.parts:
            record.t5 = await turn.parts[-1].speech.cancel()
        record.t6 = self.bind().bound_ns or None
        self._trace.barge_ins.append(record)
        self._on_barge_in(record)

    async def _drained(self, turn: _Turn) -> None:
        """Wait until the last sample written has left, or a flush."""
        writer = self._leg.writer
        writer.close_utterance(turn.epoch)
        while writer.epoch == turn.epoch and writer.played < turn.record.end_sample:
            left_s = (turn.record.end_sample - writer.played) / self._format.rate
            # The event normally ends this wait; the timeout covers a report lost to a full pipe.
            ends: set[asyncio.Future[Any]] = {turn.idle, turn.flushed}
            await asyncio.wait(ends, timeout=left_s + 0.1, return_when=asyncio.FIRST_COMPLETED)
            if turn.flushed.done() or turn.idle.done():
                return
        if writer.epoch != turn.epoch and not turn.flushed.done():
            await turn.flushed  # the shared epoch is quicker than the event pipe

    async def _speak(self, script: Script, turn: _Turn) -> None:
        offset = 0
        patience = Patience(self._retry_pauses_s)
        while await script.more(offset):
            part = await self._start_part(turn, offset)
            try:
                await self._stream(script, part, turn)
                offset += part.sent
            except SynthesisError as error:
                delivered = self._delivered(script, part, turn)
                offset += delivered
                now_ns = self._clock.now_ns()
                await asyncio.sleep(patience.pause_s(error, has_progress=delivered > 0, now_ns=now_ns))

    async def _start_part(self, turn: _Turn, offset: int) -> _Part:
        speech, self._bound = self._bound, None
        if speech is not None and self._clock.now_ns() - self._bound_at_ns > _BOUND_FOR_NS:
            await speech.cancel()
            speech = None
        if speech is None:
            speech = self._synthesizer.speak(self._voice, self._format)
        part = _Part(speech, offset, self._leg.writer.write_index)
        turn.parts.append(part)
        turn.record.task_id = speech.task_id
        return part

    async def _stream(self, script: Script, part: _Part, turn: _Turn) -> None:
        feeder = asyncio.create_task(self._feed(script, part, turn), name="feed")
        try:
            async for data in part.speech.audio():
                await self._put(np.frombuffer(data, "<i2"), turn)
            await feeder
        finally:
            if not feeder.done():
                feeder.cancel()
                await asyncio.wait({feeder})

    async def _feed(self, script: Script, part: _Part, turn: _Turn) -> None:
        """Hand the text over as it is written; end the task when the source pauses for long."""
        try:
            while text := await script.more(part.text_offset + part.sent, timeout_s=_PATIENCE_S):
                now_ns = self._clock.now_ns()
                if turn.record.first_text_ns is None:
                    turn.record.first_text_ns = now_ns
                    self._stamp_next_text(now_ns)
                part.sent += len(text)
                await part.speech.send_text(text)
        except TimeoutError:
            pass  # `_speak` opens a new task for what the source may still say
        await part.speech.finish()

    async def _put(self, samples: NDArray[np.int16], turn: _Turn) -> None:
        writer = self._leg.writer
        while samples.size:
            accepted = writer.write(samples, epoch=turn.epoch)
            turn.record.end_sample = writer.write_index
            samples = samples[accepted:]
            if samples.size:
                if writer.epoch != turn.epoch:
                    return  # flushed; the event is on its way
                ahead_s = (writer.write_index - writer.played) / self._format.rate
                await asyncio.sleep(max(0.02, ahead_s - _LOW_WATER_S))

    def _delivered(self, script: Script, part: _Part, turn: _Turn) -> int:
        """Count the characters of a failed part that are already in the ring."""
        played_ms = (turn.record.end_sample - part.start_sample) * 1000 // self._format.rate
        text = script.text[part.text_offset : part.text_offset + part.sent]
        if not played_ms:
            return 0
        return len(heard(text, part.speech.words, played_ms=played_ms, finished=False, total_ms=None).heard)

    def _account(self, turn: _Turn, text: str, flushed: Flushed | None) -> Said:
        record = turn.record
        if flushed is None:
            record.heard = text
            return Said(heard=text, unheard="", interrupted=False)
        written_ms = (record.end_sample - record.start_sample) * 1000 // self._format.rate
        record.end_sample = flushed.position
        played_ms = (flushed.position - record.start_sample) * 1000 // self._format.rate
        outcome = heard(
            text,
            turn.words(self._format.rate),
            played_ms=played_ms,
            finished=False,
            total_ms=written_ms if turn.is_written else None,
        )
        record.interrupted, record.estimated = True, outcome.estimated
        record.heard, record.unheard = outcome.heard, outcome.unheard
        return Said(
            outcome.heard,
            outcome.unheard,
            interrupted=True,
            estimated=outcome.estimated,
            cause=flushed.cause,
        )

    def _stamp_audible(self, event: SpeechStarted) -> None:
        if self._turn is None or event.position < self._turn.record.start_sample:
            return
        if self._turn.record.first_audio_ns is None:
            self._turn.record.first_audio_ns = event.at_ns
        last = self._trace.barge_ins[-1] if self._trace.barge_ins else None
        if last is not None and last.t7 is None:
            last.t7 = event.at_ns
            if last.t6 is None and self._turn.parts:
                last.t6 = self._turn.parts[0].speech.bound_ns or None
            self._on_barge_in(last)

    def _stamp_next_text(self, now_ns: int) -> None:
        last = self._trace.barge_ins[-1] if self._trace.barge_ins else None
        if last is not None and last.next_text is None:
            last.next_text = now_ns

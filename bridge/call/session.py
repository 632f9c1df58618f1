"""One call from answer to end: it joins signalling, media and agent, and always ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from weakref import proxy

import numpy as np
from numpy.typing import NDArray

from bridge.aio.sip_call import SipCall
from bridge.aio.sip_transfer import TransferResult
from bridge.aio.tasks import Tasks
from bridge.call import prompts
from bridge.call.agent import Call
from bridge.call.bus import Bus, Value
from bridge.call.ears import Ears
from bridge.call.hearing import CallerWords, Hearing
from bridge.call.notices import of_event, of_utterance, of_words
from bridge.call.opus_speech import speech_format
from bridge.call.outside import CLOSED, Outside
from bridge.call.pressing import Pressing
from bridge.call.recording import Recorder, record_message
from bridge.call.remote import Remote
from bridge.call.routes import Route
from bridge.call.settings import CallObserver, CallSettings
from bridge.call.trace import BargeInRecord, CallTrace, UtteranceRecord
from bridge.call.transfer import hand_over
from bridge.call.turns import Speaker
from bridge.engine.commands import EngineDied, EngineReplaced, LegEvent
from bridge.engine.supervisor import MediaLeg
from bridge.errors import BridgeError, CallEnded, LocalProtocolError, SynthesisError
from bridge.plane.events import Digit, RowFailed
from bridge.ports import Clock, IdSource, Synthesizer
from bridge.sip.identity import NOBODY, Presented

__all__ = ["Session", "SipLeg"]

_log = logging.getLogger(__name__)

_LEAVE_S = 1.0


class SipLeg(Protocol):
    """What a session needs of a dialog; `bridge.aio.sip.SipCall` in life."""

    @property
    def ended(self) -> "asyncio.Future[str]": ...
    async def hangup(self, reason: str = "") -> None: ...


class Session:
    """A call that is being served.

    Args:
        trace: Record to fill.
        leg: Its media, open already.
        route: Which agent and which voice.
        synthesizer: Where speech comes from.
        settings: Limits and folders.
        clock: For deadlines and marks.
        observer: Who counts.
        bus: Where what happens is told.
        ids: For the names of orders from outside.
        to_user: User part of the number that was called.
        remote_uri: The other party.
    """

    def __init__(
        self,
        *,
        trace: CallTrace,
        leg: MediaLeg,
        route: Route,
        synthesizer: Synthesizer,
        settings: CallSettings,
        clock: Clock,
        observer: CallObserver,
        bus: Bus,
        ids: IdSource,
        to_user: str,
        remote_uri: str,
    ) -> None:
        self.trace: CallTrace = trace
        self.route: Route = route
        self.to_user: str = to_user
        self.remote_uri: str = remote_uri
        self.presented: Presented = NOBODY
        """How the caller is presented; a call of ours has nothing but headers there."""
        self.outside: Outside = CLOSED
        """Whom the call may be sent to."""
        self._sip: SipLeg | None = None
        self._tasks: Tasks | None = None
        self._is_held = self._is_held_by_peer = False
        self._holding = asyncio.Lock()
        self.on_hold: Callable[[bool], Awaitable[None]] | None = None
        """Asks the peer to let itself be held, or to go on."""
        self.on_answer: Callable[[], Awaitable[None]] | None = None
        """Answers a caller who hears us before that; None where there is nothing to answer."""
        self.on_reject: Callable[[int], None] | None = None
        """Refuses such a caller, with a status."""
        self._answered = asyncio.Event()
        self.is_holding: bool = False
        self.hearing: Hearing = Hearing(clock)
        self.pressing: Pressing = Pressing(leg)
        self.ears: Ears | None = self._listener(settings, leg, clock)
        """Has the caller's words written down."""
        self.speaker: Speaker = self._speaker(leg, synthesizer, settings, clock)
        self.tell: Callable[[str, Mapping[str, Value]], None] = partial(bus.tell, trace.id)
        """Tells a notice about this call."""
        self.remote: Remote = Remote(
            trace.id,
            speaker=self.speaker,
            pressing=self.pressing,
            rate_hz=leg.rate_hz,
            ids=ids,
            tell=self.tell,
        )
        self._leg = leg
        self._settings = settings
        self.inactivity_s: float = settings.inactivity_s
        """How long the peer may be silent."""
        self._clock = clock
        self._observer = observer
        self._ending: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._live_since_ns = clock.now_ns()

    def _speaker(
        self, leg: MediaLeg, synthesizer: Synthesizer, settings: CallSettings, clock: Clock
    ) -> Speaker:
        me: Session = proxy(self)  # Weakly: see `Speaker`.
        return Speaker(
            leg,
            synthesizer,
            voice=self.route.voice,
            format=speech_format(self.trace.codec, leg.rate_hz, passes_opus=settings.passes_opus),
            clock=clock,
            trace=self.trace,
            on_barge_in=lambda record: me._check_budget(record),  # noqa: PLW0108
            on_utterance=lambda record: me._tell_utterance(record),  # noqa: PLW0108
        )

    def _listener(self, settings: CallSettings, leg: MediaLeg, clock: Clock) -> Ears | None:
        # The call to ourselves has a voice of its own, and bills nobody for its words either.
        if settings.ears is None or self.route.synthesizer is not None:
            return None
        me: Session = proxy(self)
        return Ears(
            settings.ears,
            leg.capture(),
            rate_hz=leg.rate_hz,
            clock=clock,
            on_words=lambda words: me._tell_words(words),  # noqa: PLW0108
            call_id=self.trace.id,
        )

    def deliver(self, event: LegEvent) -> None:
        """Take one report of the media process; called on the loop, in order."""
        if isinstance(event, EngineDied | RowFailed):
            self.end("media failed")
            return
        if isinstance(event, EngineReplaced):
            _log.info("call %s: another media process carries it on", self.trace.id)
            return
        if isinstance(event, Digit):
            self.trace.digits += 1
        self.trace.lanes.note(event)
        self.hearing.on_event(event)
        self.pressing.on_event(event)
        self.speaker.on_event(event)
        if self.ears is not None:
            self.ears.on_event(event)
        if (told := of_event(event, rate_hz=self._leg.rate_hz)) is not None:
            self.tell(*told)

    def key(self, digit: str, duration_ms: int) -> None:
        """Take a key that the peer told by SIP INFO: the media process knows whether it was heard before."""
        self._leg.hand_key(digit, duration_ms=duration_ms)

    def hold(self, is_held: bool, *, by_peer: bool) -> None:
        """Take note of what a description says.

        Args:
            is_held: Whether the peer may be silent for as long as it likes.
            by_peer: Whether it does not want to hear us.
        """
        if self._is_held and not is_held:
            self._live_since_ns = self._clock.now_ns()
        if self._is_held_by_peer != by_peer and self.trace.state == "up":
            self.tell("call.held" if by_peer else "call.resumed", {"by": "peer"})
        self._is_held, self._is_held_by_peer = is_held, by_peer

    async def hold_peer(self, is_holding: bool) -> None:
        """Put the peer on hold, or take it back; see `Call.hold`."""
        async with self._holding:
            if is_holding is self.is_holding or self.on_hold is None:
                return
            await self.on_hold(is_holding)
            self.is_holding = is_holding
            self.tell("call.held" if is_holding else "call.resumed", {"by": "us"})

    def media(self) -> dict[str, float]:
        """The leg's counters as they are now."""
        return dict(self._leg.status.snapshot())

    def end(self, reason: str) -> None:
        """Let `serve` end the call; the first reason given is the one that is kept."""
        if not self._ending.done():
            self._ending.set_result(reason)

    async def hangup(self, reason: str) -> None:
        """End the call from within its agent: waits to be cancelled."""
        self.end(reason)
        await asyncio.Event().wait()

    def text(self, text: str) -> None:
        """Take a text that the peer sent beside the sound."""
        self.hearing.on_text(text)
        self.tell("text", {"text": text})

    async def transfer(self, target: "str | Session", *, timeout_s: float) -> TransferResult:
        """Send the peer to somebody else; see `Call.transfer`."""
        sip, other = self._sip, target._sip if isinstance(target, Session) else None
        if not isinstance(sip, SipCall) or not (other is None or isinstance(other, SipCall)):
            self.tell("transfer.ended", {"status": 405, "succeeded": False})
            return TransferResult(405, "only telephones can be sent on")
        uri = await self.outside.address_of(target) if isinstance(target, str) else ""
        if self._tasks is None:
            raise CallEnded("nobody is on the line")
        # A task of this call: whoever asks may be the agent of the other, which ends before the last word.
        told: asyncio.Future[TransferResult] = asyncio.get_running_loop().create_future()
        self._tasks.start(self._transfer(sip, uri, other, target, told, timeout_s=timeout_s), name="transfer")
        return await told

    async def _transfer(
        self,
        sip: SipCall,
        uri: str,
        replacing: SipCall | None,
        target: "str | Session",
        told: "asyncio.Future[TransferResult]",
        *,
        timeout_s: float,
    ) -> None:
        result = TransferResult(487, "the call ended first")
        try:
            self.tell("transfer.started", {"attended": replacing is not None})
            result = await hand_over(
                sip,
                uri,
                replacing=replacing,
                timeout_s=timeout_s,
                on_progress=lambda status: self.tell("transfer.progress", {"status": status}),
            )
        except LocalProtocolError as error:
            if not told.done():
                told.set_exception(error)
        finally:
            self.tell("transfer.ended", {"status": result.status, "succeeded": result.succeeded})
            if not told.done():
                told.set_result(result)
        if result.succeeded:
            self.end("transferred")
            if isinstance(target, Session):
                target.end("transferred")

    def move(self, sip: SipLeg) -> None:
        """Go on with another dialog, which has taken the place of the present one (RFC 3891)."""
        before, self._sip = self._sip, sip
        sip.ended.add_done_callback(partial(self._left, sip))
        if before is not None:
            self.tell("call.replaced", {"from": self.remote_uri})

    def _left(self, sip: SipLeg, ended: "asyncio.Future[str]") -> None:
        if sip is self._sip and not ended.cancelled():
            self.end(ended.result())

    async def prompt(self, name: str) -> NDArray[np.int16]:
        """Read a prompt file, at the leg's rate.

        Raises:
            ConfigError: If the folder has no such file or it is not sound.
        """
        return await asyncio.to_thread(prompts.load, self._settings.prompts, name, rate=self._leg.rate_hz)

    async def play(self, name: str, *, interruptible: str, sensitivity: str | None) -> float:
        """Play a prompt file; see `Call.play`."""
        pcm = await self.prompt(name)
        return await self.speaker.play(pcm, interruptible=interruptible, sensitivity=sensitivity)

    async def record(self, path: Path, *, max_s: float, silence_s: float, stop_keys: str) -> float:
        """Record what the caller says from now on; see `Call.record`."""
        capture = self._leg.capture()
        while capture.read(self._leg.rate_hz).shape[1]:
            pass  # what was said before is not part of it
        recorder = Recorder(path, capture, rate=self._leg.rate_hz, channels=1)
        return await record_message(
            recorder, self.hearing, max_s=max_s, silence_s=silence_s, stop_keys=stop_keys
        )

    async def bed(self, name: str | None, *, gain_db: int, under_speech_db: int, yields: bool) -> None:
        """Play a prompt file under what is said; see `Call.bed`."""
        if name is None:
            self._leg.stop_bed()
            return
        folder, rate = self._settings.prompts, self._leg.rate_hz
        known_as = await asyncio.to_thread(prompts.bed_name, folder, name, rate=rate)
        loop = None
        if not self._leg.has_bed(known_as):
            loop = await asyncio.to_thread(prompts.load_bed, folder, name, rate=rate)
        self._leg.set_bed(known_as, loop, gain_db=gain_db, under_speech_db=under_speech_db, yields=yields)

    @property
    def is_answered(self) -> bool:
        """Whether the call stands, and does not only ring."""
        return self._answered.is_set()

    async def answered(self) -> None:
        """Wait until the call stands; see `Call.answered`."""
        await self._answered.wait()

    async def answer(self) -> None:
        """Answer a caller who hears us already; see `Call.answer`."""
        if self.on_answer is not None:
            answer, self.on_answer = self.on_answer, None
            await answer()
            self.stand()
        await self.answered()

    async def reject(self, status: int) -> None:
        """Refuse a caller who hears us, from within its agent; see `Call.reject`."""
        if self.on_reject is not None and not self.is_answered:
            self.on_reject(status)
        await self.hangup(f"rejected with {status}")

    def stand(self) -> None:
        """Take note that the call is answered."""
        self._answered.set()
        self.trace.state, self.trace.answered_ns = "up", self._clock.now_ns()
        self._live_since_ns = self.trace.answered_ns
        self._observer.call_started(self.trace)
        self.tell("call.answered", {"codec": self.trace.codec, "rate_hz": self.trace.rate_hz})
        _log.info("call %s: %s, up", self.trace.id, self.trace.direction)

    async def serve(self, sip: SipLeg, *, is_answered: bool = True) -> None:
        """Run the agent until someone ends the call; then leave nothing behind.

        Args:
            sip: Its dialog.
            is_answered: Whether it stands; `stand` must follow later where it only rings.
        """
        self.move(sip)
        if is_answered:
            self.stand()
        try:
            async with Tasks(f"call {self.trace.id}", patience_s=_LEAVE_S) as tasks:
                self._tasks = tasks
                if self._settings.recordings is not None:
                    tasks.start(self._record(self._settings.recordings), name="recording")
                if self.ears is not None:
                    tasks.start(self.ears.run(), name="ears")
                agent = tasks.start(self._run_agent(), name="agent")
                watch = tasks.start(self._watch(), name="watch")
                ends: set[asyncio.Future[Any]] = {agent, watch, self._ending}
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                self.end("agent finished")
                # The line first: an agent may take long to leave.
                await self._hang_up()
        finally:
            await self._leave()

    async def _hang_up(self) -> None:
        if self._sip is not None and not self._sip.ended.done():
            await self._sip.hangup(self._ending.result())

    async def _leave(self) -> None:
        self.end("bridge failed")  # only if nothing else was said
        self.pressing.close()
        await self.speaker.close()
        await self.remote.close()
        self.trace.media, self.trace.ended_ns = self.media(), self._clock.now_ns()
        self.trace.lanes.close(self.trace.ended_ns)
        self._leg.close()
        await self._hang_up()
        self.trace.state, self.trace.reason = "ended", self._ending.result()
        if isinstance(self._sip, SipCall):
            self.trace.cause, self.trace.status = self._sip.cause, self._sip.status
        if self.is_answered:
            self._observer.call_ended(self.trace)
        self.tell("call.ended", {"reason": self.trace.reason, "status": None})
        _log.info("call %s: ended: %s", self.trace.id, self.trace.reason)

    async def _run_agent(self) -> None:
        try:
            await self._leg.opened()
            await self.route.run(Call(self))
        except CallEnded:
            pass
        except SynthesisError as error:
            _log.error("call %s: the voice failed: %s", self.trace.id, error)
            self.end("voice failed")
        except BridgeError as error:
            _log.error("call %s: %s", self.trace.id, error)
            self.end("agent failed")
        except Exception:
            _log.exception("call %s: agent %s failed", self.trace.id, self.route.agent)
            self.end("agent failed")

    async def _watch(self) -> None:
        """Return when the call has rung or lasted too long, or the peer's media has dried up."""
        try:
            async with asyncio.timeout(None if self.on_answer is None else self._settings.ring_timeout_s):
                await self._answered.wait()
        except TimeoutError:
            return self.end("not answered")
        started_ns = self._clock.now_ns()
        while True:
            now_ns = self._clock.now_ns()
            over_ns = started_ns + int(self._settings.max_duration_s * 1e9)
            if now_ns >= over_ns:
                return self.end("maximum duration reached")
            if self._is_held:
                self._live_since_ns = now_ns
            last_ns = max(self._live_since_ns, self._leg.status.last_rx_ns)
            silent_ns = last_ns + int(self.inactivity_s * 1e9)
            if now_ns >= silent_ns:
                return self.end("no media")
            await asyncio.sleep((min(over_ns, silent_ns) - now_ns) / 1e9)

    async def _record(self, folder: Path) -> None:
        recorder = Recorder(folder / f"{self.trace.id}.wav", self._leg.capture(), rate=self._leg.rate_hz)
        await recorder.run()

    def _tell_utterance(self, record: UtteranceRecord) -> None:
        self.tell(*of_utterance(record, self.trace))

    def _tell_words(self, words: CallerWords) -> None:
        self.hearing.on_words(words)
        self.tell(*of_words(words))
        if words.is_final and self.trace.keeps_text:
            self.trace.understand(words.text, began_ns=words.began_ns, ended_ns=words.ended_ns)

    def _check_budget(self, record: BargeInRecord) -> None:
        """Compare an interruption with the budget: up to t6 at once, the rest when the next reply sounds."""
        is_second_look = record.t7 is not None
        stages = {
            name: took_ms
            for name, took_ms in record.stages_ms().items()
            if (name == "next_audio") is is_second_look
        }
        breaches = [breach for breach in self._settings.budget.check(record) if breach.stage in stages]
        for breach in breaches:
            self.trace.breaches.append(str(breach))
            _log.warning("call %s: over budget: %s", self.trace.id, breach)
        over = [breach.stage for breach in breaches]
        self.trace.measure(stages, over)
        self._observer.barge_in(stages, over)

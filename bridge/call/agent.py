"""The small API that agents are written against.

An agent is one coroutine, ``async def agent(call: Call) -> None``. When it returns, the call is hung
up; when the caller hangs up first, it is cancelled wherever it waits.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.aio.sip_transfer import TransferResult
from bridge.call.hearing import CallerWords, CallEvent
from bridge.call.turns import Said
from bridge.errors import ConfigError
from bridge.plane.bed import LOUDEST_DB, SILENT_DB

if TYPE_CHECKING:
    from bridge.call.session import Session

__all__ = ["Agent", "Call"]


class Call:
    """One live call, as its agent sees it."""

    def __init__(self, session: "Session") -> None:
        self._session = session

    @property
    def id(self) -> str:
        """Identifier of this call in logs, metrics and ``/api/calls``."""
        return self._session.trace.id

    @property
    def to(self) -> str:
        """User part of the number that was called."""
        return self._session.to_user

    @property
    def caller(self) -> str:
        """SIP URI of the other party."""
        return self._session.remote_uri

    @property
    def caller_name(self) -> str:
        """The other party's name, as its telephone gives it; often empty."""
        return self._session.presented.name

    @property
    def asserted(self) -> str:
        """SIP or tel URI of the caller that a trunk or a network we serve vouches for; empty without one."""
        return next(iter(self._session.presented.asserted), "")

    @property
    def diverted_by(self) -> str:
        """URI of who sent the call on to us; empty if nobody did."""
        return next((each.uri for each in self._session.presented.diversions), "")

    @property
    def headers(self) -> dict[str, str]:
        """The X- header fields of the other party's INVITE or 200."""
        return dict(reversed(self._session.presented.headers))

    @property
    def is_answered(self) -> bool:
        """Whether the call is answered; with `early_media` the agent begins before."""
        return self._session.is_answered

    async def answer(self) -> None:
        """Answer a caller who hears us already (``early_media`` of the route); harmless once it is done.

        A caller who is not answered within ``sip.ring_timeout_s``, or when the agent returns, is turned away.

        Raises:
            CallEnded: If the caller gave up.
        """
        await self._session.answer()

    async def answered(self) -> None:
        """Wait until the other side answers a call of ours; until then we hear tones and announcements."""
        await self._session.answered()

    async def reject(self, status: int = 603) -> None:
        """Turn away a caller who was not answered yet, with a SIP status of 400 to 699; else hang up.

        Raises:
            ValueError: If it is another status.
        """
        if not 400 <= status <= 699:
            raise ValueError(f"a call is rejected with 400 to 699, not {status}")
        await self._session.reject(status)

    @property
    def greeting(self) -> str:
        """The route's greeting; empty if it has none."""
        return self._session.route.greeting

    @property
    def barge_in_ms(self) -> dict[str, float]:
        """Stage durations of the last interruption; empty before the first."""
        records = self._session.trace.barge_ins
        return records[-1].stages_ms() if records else {}

    async def say(
        self,
        text: str | AsyncIterator[str],
        *,
        interruptible: str = "any",
        sensitivity: str | None = None,
    ) -> Said:
        """Speak, and return what of it was heard.

        Args:
            text: The whole text, or an iterator that yields it as it is written.
            interruptible: What makes the bot stop: ``none``, ``dtmf``, ``speech`` or ``any``.
            sensitivity: How easily a voice does: ``low``, ``medium`` or ``high``; None as configured.

        Raises:
            SynthesisError: If the voice service refuses, or fails and does not come back within some seconds.
        """
        return await self._session.speaker.say(text, interruptible=interruptible, sensitivity=sensitivity)

    async def play(self, name: str, *, interruptible: str = "any", sensitivity: str | None = None) -> float:
        """Play a sound file from the prompt folder; return the seconds of it that were heard.

        Raises:
            ConfigError: If the folder has no such file or it is not sound.
        """
        return await self._session.play(name, interruptible=interruptible, sensitivity=sensitivity)

    async def bed(
        self,
        name: str | None,
        *,
        gain_db: int = -18,
        under_speech_db: int | None = None,
        yields: bool = True,
    ) -> None:
        """Play a sound file from the prompt folder again and again, under what is said; returns at once.

        Args:
            name: Of 0.04 to 60 s; None lets the present one fade out. Another one takes its place; the same
                one goes on where it is, at its new levels.
            gain_db: Level while nothing is said, -100 to 20; 0 is as recorded.
            under_speech_db: Level under speech; None is 12 dB less.
            yields: It is silent while the caller's voice silences the bot, and until an interruption is over.

        Raises:
            ConfigError: If the folder has no such file, or it is not sound, or too short or too long.
            EngineError: If 16 others are being played.
            ValueError: If a level is out of range.
        """
        under_db = max(SILENT_DB, gain_db - 12) if under_speech_db is None else under_speech_db
        for level_db in (gain_db, under_db):
            if not SILENT_DB <= level_db <= LOUDEST_DB:
                raise ValueError(f"a bed's level must be {SILENT_DB} to {LOUDEST_DB} dB, not {level_db}")
        await self._session.bed(name, gain_db=gain_db, under_speech_db=under_db, yields=yields)

    async def digits(self, *, max_digits: int = 1, timeout_s: float = 5.0, terminator: str = "#") -> str:
        """Collect telephone digits, those already typed included.

        Args:
            max_digits: Return when this many have come.
            timeout_s: Longest wait for each digit; what has come by then is returned.
            terminator: Ends the input and is not part of it; empty for none.
        """
        typed = ""
        while len(typed) < max_digits:
            digit = await self._session.hearing.digit(timeout_s=timeout_s)
            if not digit or digit == terminator:
                break
            typed += digit
        return typed

    async def press(self, digits: str, *, duration_ms: int = 100, pause_ms: int = 100) -> None:
        """Press telephone keys, as events (RFC 4733) or, where the other side takes none, as tones.

        Speech that is being played waits meanwhile where it is, and goes on after the last key.

        Args:
            digits: Up to 64 of ``0123456789*#ABCD``.
            duration_ms: How long each key is held, 50 to 60000.
            pause_ms: Pause after each, 40 to 10000.

        Raises:
            ValueError: If there is no such key, or it cannot be held for so long.
        """
        await self._session.pressing.press(digits, duration_ms=duration_ms, pause_ms=pause_ms)

    async def hold(self) -> None:
        """Put the other side on hold: it hears us, we do not hear it, and it may be silent for ever.

        Raises:
            NegotiationError: If it does not let itself be held.
            CallEnded: If the call is over.
        """
        await self._session.hold_peer(True)

    async def resume(self) -> None:
        """Take the other side back from hold; raises as `hold` does."""
        await self._session.hold_peer(False)

    async def quiet(self, lasting_ms: int = 500) -> None:
        """Wait until the caller has been silent for `lasting_ms` without a break."""
        await self._session.hearing.quiet(lasting_ms)

    def events(self) -> AsyncIterator[CallEvent]:
        """Yield voice, silence, digits, ducks and flushes from now on."""
        return self._session.hearing.events()

    def words(self) -> AsyncIterator[CallerWords]:
        """Iterate over what the caller says from this call on, sentence by sentence, as it is understood.

        What is said while the agent does something else waits to be read, 256 pieces at most. A sentence may
        come several times, better each time, before it is final. Words come a second or so after their sound.

        Raises:
            ConfigError: If nobody is there to understand: see the settings' section ``ears``.
        """
        if self._session.ears is None:
            raise ConfigError("nobody understands callers here: set ears.enabled = true")
        return self._session.hearing.words()

    async def transfer(self, target: "str | Call", *, timeout_s: float = 30.0) -> TransferResult:
        """Send the caller to somebody else, and take leave.

        After a success the call ends by itself: the agent is cancelled as soon as it waits for anything.
        After a failure it goes on, so there is something to say.

        Args:
            target: A number or SIP address that the dial plan admits; or another call, whose other party the
                caller is joined with.
            timeout_s: How long it may take until somebody answers there.

        Raises:
            ConfigError: If the target may not be called.
            SetupError: If it leads nowhere.
            LocalProtocolError: If a transfer is under way already.
        """
        if isinstance(target, Call):
            return await self._session.transfer(target._session, timeout_s=timeout_s)
        return await self._session.transfer(target, timeout_s=timeout_s)

    async def record(
        self, path: Path, *, max_s: float = 120.0, silence_s: float = 3.0, stop_keys: str = "#"
    ) -> float:
        """Record what the caller says into a WAV file; returns its length in s.

        The file is whole even if the caller hangs up meanwhile. Callers must be told where the law says so.

        Args:
            path: File to create, readable by you alone; one that exists is never overwritten.
            max_s: Longest recording.
            silence_s: It ends when the caller has been silent for so long.
            stop_keys: It ends with any of these keys, which is taken off what was typed.

        Raises:
            OSError: If the file cannot be created.
        """
        return await self._session.record(path, max_s=max_s, silence_s=silence_s, stop_keys=stop_keys)

    async def hangup(self, reason: str = "agent hung up") -> None:
        """End the call; the agent is cancelled as soon as it waits for anything."""
        await self._session.hangup(reason)


Agent = Callable[[Call], Awaitable[None]]

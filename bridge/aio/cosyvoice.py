"""The voice, for a program: text in, sound and word times out.

    async with CosyVoice(api_key="sk-…") as tts:
        async for chunk in tts.stream("Hello there."):
            play(chunk.data)

Connections stand by, a broken one is replaced in mid-sentence, a text may be written while it is spoken
and may pause for as long as it likes; whoever leaves the loop has cancelled the task.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Generic, Literal, Self, TypeVar, Unpack, cast, overload

from bridge.aio.cosyvoice_keys import KeyProvider
from bridge.aio.cosyvoice_pool import CosyVoicePool, TtsSettings
from bridge.aio.narration import Narration, Telling
from bridge.aio.patience import PAUSES_S
from bridge.aio.script import Script, Text
from bridge.clock import SystemClock
from bridge.cosyvoice.client_patience import Deadlines
from bridge.cosyvoice.endpoints import WORKSPACE_HEADER, endpoint, fill_workspace, is_cloud
from bridge.cosyvoice.request import Parameters, VoiceRequest
from bridge.dice import SystemDice
from bridge.errors import ConfigError, LocalProtocolError
from bridge.ports import Speech, SpeechChunk, WordTime
from bridge.speech.heard import Heard, heard

__all__ = ["CosyVoice", "Deadlines", "SpeechStream"]

T = TypeVar("T", bound=SpeechChunk | WordTime)

_DEADLINES = Deadlines()
_NO_SERVICE = (
    "no service to speak with: set DASHSCOPE_API_KEY or give api_key= for the cloud, or give url= of a "
    "service of your own; `cosybridge tts` starts one and prints its address"
)


class CosyVoice:
    """A client of a CosyVoice service, the cloud's or your own.

    Args:
        url: Address of the service, ``ws://`` or ``wss://``; empty is the cloud's in `region`.
        api_key: The key, or an async function that gives one, such as
            `bridge.aio.cosyvoice_tokens.TemporaryTokens`; empty reads DASHSCOPE_API_KEY, for the cloud only.
        region: Of the cloud: ``"cn-beijing"``, ``"ap-southeast-1"`` and others.
        workspace: Its id; also put where `url` says ``{workspace_id}``.
        spares: Connections kept open and idle at least; 20 % of those that speak, if that is more.
        max_connections: Connections at most; who comes when all are in use waits `Deadlines.connection_s`.
        deadlines: How long to wait for what.
        retry_pauses_s: Before each new try with a service that failed.
        parameters: The fields of `bridge.cosyvoice.request.VoiceRequest`, where a stream names no other.

    Raises:
        ConfigError: If there is no service to speak with, or no such region.
        InvalidRequestError: If a parameter is out of its range.
    """

    def __init__(
        self,
        *,
        url: str = "",
        api_key: str | KeyProvider = "",
        region: str = "cn-beijing",
        workspace: str = "",
        spares: int = 1,
        max_connections: int = 100,
        deadlines: Deadlines = _DEADLINES,
        retry_pauses_s: tuple[float, ...] = PAUSES_S,
        **parameters: Unpack[Parameters],
    ) -> None:
        self.request: VoiceRequest = VoiceRequest.of(parameters)
        """What is asked for where a stream names nothing else."""
        self._parameters = parameters
        self._deadlines = deadlines
        self._retry_pauses_s = retry_pauses_s
        self._clock = SystemClock()
        url, key = _service(url, api_key, region, workspace)
        settings = TtsSettings(
            url,
            key,
            spares=spares,
            max_connections=max_connections,
            open_timeout_s=deadlines.open_s,
            headers={WORKSPACE_HEADER: workspace} if workspace else {},
            patience=deadlines.patience(),
        )
        self.pool: CosyVoicePool = CosyVoicePool(settings, clock=self._clock, dice=SystemDice())
        """The connections: how many are `idle` and `busy`, and `counters` of what happened to them."""
        self._is_open = False

    async def __aenter__(self) -> Self:
        await self.pool.start()
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def ready(self) -> None:
        """Return once a connection stands by; to learn early whether the service answers.

        Raises:
            SynthesisError: If the service refuses or cannot be reached; names the cause and the fix.
        """
        await self.pool.ready()

    async def close(self) -> None:
        """End every stream and close every connection."""
        self._is_open = False
        await self.pool.close()

    @overload
    def stream(
        self, text: Text, *, words: Literal[False] = False, **parameters: Unpack[Parameters]
    ) -> "SpeechStream[SpeechChunk]": ...
    @overload
    def stream(
        self, text: Text, *, words: Literal[True], **parameters: Unpack[Parameters]
    ) -> "SpeechStream[SpeechChunk | WordTime]": ...
    @overload
    def stream(
        self, text: Text, *, words: bool, **parameters: Unpack[Parameters]
    ) -> "SpeechStream[SpeechChunk] | SpeechStream[SpeechChunk | WordTime]": ...
    def stream(
        self, text: Text, *, words: bool = False, **parameters: Unpack[Parameters]
    ) -> "SpeechStream[SpeechChunk] | SpeechStream[SpeechChunk | WordTime]":
        """Speak `text`; iterate over what is returned.

        Args:
            text: A text, or an iterator that yields it in pieces: async, or one that does not block.
            words: Yield each `WordTime` as well, once it is known and its sound was yielded.
            parameters: What differs from the client's own.

        Raises:
            InvalidRequestError: If a parameter is out of its range; nothing has been sent.
            LocalProtocolError: Outside of ``async with``.
        """
        if not self._is_open:
            raise LocalProtocolError("this client is not open: use `async with CosyVoice(...) as tts`")
        changes = cast("Parameters", {"word_timestamp_enabled": True} if words else {})
        request = VoiceRequest.of(self._parameters | parameters | changes)
        return SpeechStream(text, self._telling(request), words=words)

    async def synthesize(self, text: Text, **parameters: Unpack[Parameters]) -> bytes:
        """Speak `text` and return its whole sound; Raises as `stream` and its iteration do."""
        async with self.stream(text, **parameters) as stream:
            return b"".join([chunk.data async for chunk in stream])

    def _telling(self, request: VoiceRequest) -> Telling:
        async def take_speech() -> Speech:
            return self.pool.begin(request)

        return Telling(
            take_speech,
            self._clock,
            request.counted_rate,
            pauses_s=self._retry_pauses_s,
            pause_s=self._deadlines.text_pause_s,
            has_words=request.word_timestamp_enabled,
            is_ssml=request.is_ssml,
            is_wav=request.is_wav,
        )


class SpeechStream(Generic[T]):
    """One text on its way to the listener; made by `CosyVoice.stream`, iterated once.

    Leaving the loop cancels the task and frees its connection: at once where the stream was made in the
    ``async for`` line, at the end of the block where it was made by ``async with``.

    Iteration raises `SynthesisError`, once trying again has not helped or cannot.
    """

    def __init__(self, text: Text, telling: Telling, *, words: bool) -> None:
        self._source = text
        self._telling = telling
        self._tells_words = words
        self._script: Script | None = None
        self._narration: Narration | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cancel()

    def __aiter__(self) -> AsyncGenerator[T, None]:
        if self._narration is not None:
            raise LocalProtocolError("a stream is iterated once: its sound is gone")
        self._script = Script(self._source)
        self._narration = Narration(self._script, self._telling)
        # It is not kept: when the loop drops it, its end cancels the task.
        return _items(self._script, self._narration, self._telling.rate, self._tells_words)  # type: ignore[return-value]

    @property
    def text(self) -> str:
        """What the source has written so far."""
        return self._script.text if self._script is not None else ""

    @property
    def words(self) -> list[WordTime]:
        """Word times known so far, in the whole text and from the first sample; empty unless asked for."""
        return self._narration.words if self._narration is not None else []

    @property
    def task_id(self) -> str:
        """The latest task's id at the service, for its support; empty before the first."""
        return self._narration.task_id if self._narration is not None else ""

    def heard(self, position_samples: int) -> Heard:
        """Split the text behind the last word that was played before `position_samples` (PCM only)."""
        played_ms = position_samples * 1000 // self._telling.rate if self._telling.rate else 0
        return heard(self.text, self.words, played_ms=played_ms, finished=False, total_ms=None)

    async def cancel(self) -> None:
        """Fall silent: the iteration ends, the connection is freed. Harmless when it has ended."""
        if self._narration is not None:
            await self._narration.cancel()
        if self._script is not None:
            await self._script.close()


async def _items(
    script: Script, narration: Narration, rate: int, tells_words: bool
) -> AsyncGenerator[SpeechChunk | WordTime, None]:
    told = 0
    try:
        async with aclosing(narration.audio()) as audio:
            async for data in audio:
                position = narration.parts.position
                yield SpeechChunk(data, position - len(data) // 2 if rate else None)
                for word in narration.parts.words_from(told) if tells_words else ():
                    if rate and word.end_ms * rate > position * 1000:
                        break  # it has not sounded yet
                    told += 1
                    yield word
        for word in narration.parts.words_from(told) if tells_words else ():
            yield word
    finally:
        await script.close()


def _service(
    url: str, api_key: str | KeyProvider, region: str, workspace: str
) -> tuple[str, str | KeyProvider]:
    try:
        address = fill_workspace(url, workspace) if url else endpoint(region, workspace)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if not address.startswith(("ws://", "wss://")):
        raise ConfigError(f"url must start with ws:// or wss://, not {address!r:.80}")
    if not api_key and is_cloud(address):
        # Shown to the cloud only: it is nobody else's business.
        api_key = os.environ.get("DASHSCOPE_API_KEY", "")
    if not url and not api_key:
        raise ConfigError(_NO_SERVICE)
    return address, api_key

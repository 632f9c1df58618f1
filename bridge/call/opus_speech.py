"""Speech that comes as Ogg Opus: its sound for whoever counts samples, its packets for the leg to pass on.

A narration sees PCM as always. The packets wait beside it, and whoever writes the sound into the ring takes
the one that decodes to just what is about to be written.
"""

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import numpy as np
from numpy.typing import NDArray

from bridge.audio import OpusFormat, PcmFormat
from bridge.errors import RemoteProtocolError, SynthesisError
from bridge.media.ogg_opus import OggOpusReader, OpusSound
from bridge.ports import SentenceMark, Speech, WordTime

__all__ = ["OpusSpeech", "Packets", "speech_format"]

_MOST = 1000
"""Packets that wait at most: 20 s of speech, more than any ring takes."""


class Packets:
    """What was decoded and not yet written, oldest first."""

    def __init__(self) -> None:
        self._waiting: deque[OpusSound] = deque(maxlen=_MOST)

    def keep(self, sound: OpusSound) -> None:
        """Take a packet with the sound that it decodes to."""
        self._waiting.append(sound)

    def take(self, pcm: NDArray[np.int16]) -> bytes | None:
        """The packet that decodes to this; those before it are not asked for any more."""
        for number, sound in enumerate(self._waiting):
            if sound.pcm.size == pcm.size and np.array_equal(sound.pcm, pcm):
                for _ in range(number + 1):
                    self._waiting.popleft()
                return sound.payload
        return None


class OpusSpeech:
    """A `bridge.ports.Speech` in PCM, made of one in Ogg Opus.

    Args:
        speech: The one in Ogg Opus.
        rate_hz: Of the sound given out.
        packets: Where its packets are kept.
    """

    def __init__(self, speech: Speech, rate_hz: int, packets: Packets) -> None:
        self._speech = speech
        self._reader = OggOpusReader(rate_hz)
        self._packets = packets

    @property
    def task_id(self) -> str:
        return self._speech.task_id

    @property
    def bound_ns(self) -> int:
        return self._speech.bound_ns

    @property
    def words(self) -> list[WordTime]:
        return self._speech.words

    @property
    def sentence(self) -> SentenceMark | None:
        """Unknown: the service cannot count the samples of a packed sound."""
        return None

    async def send_text(self, text: str) -> None:
        await self._speech.send_text(text)

    async def finish(self) -> None:
        await self._speech.finish()

    async def audio(self) -> AsyncGenerator[bytes, None]:
        """Yield the sound of each packet.

        Raises:
            SynthesisError: As the speech itself, and if its sound is no Ogg Opus.
        """
        async with aclosing(cast("AsyncGenerator[bytes, None]", self._speech.audio())) as audio:
            async for data in audio:
                try:
                    sounds = self._reader.push(data)
                except RemoteProtocolError as error:
                    message = f"the voice was asked for Ogg Opus: {error}"
                    raise SynthesisError(message, code="BadSound", retryable=False) from error
                for sound in sounds:
                    yield self._take(sound).tobytes()

    async def cancel(self) -> int:
        return await self._speech.cancel()

    def _take(self, sound: OpusSound) -> NDArray[np.int16]:
        if sound.skip:
            # Not to be heard (RFC 7845 §4.2), and kept as silence: the packets after it keep their places.
            return np.concatenate((np.zeros(sound.skip, np.int16), sound.pcm[sound.skip :]))
        if sound.payload:
            self._packets.keep(sound)
        return sound.pcm


def speech_format(codec: str, rate_hz: int, *, passes_opus: bool) -> PcmFormat | OpusFormat:
    """What to ask the voice for: the line's own codec, or sound at its rate.

    Args:
        codec: What the line speaks, as SDP calls it.
        rate_hz: Rate of its row.
        passes_opus: Whether packets may be passed on.
    """
    # Rows of 8 kHz keep no packets (`bridge.plane.columns`).
    return OpusFormat(rate_hz) if codec == "opus" and passes_opus and rate_hz > 8000 else PcmFormat(rate_hz)

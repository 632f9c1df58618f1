"""Both sides of a call on one time axis: what the recording and the page are drawn from."""

import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bridge.load.listen import TICK_NS, Heard
from bridge.load.phone import FRAME_NS
from bridge.load.tape import SentPacket
from bridge.plane.g711 import decode_alaw, decode_ulaw

__all__ = ["Mixdown"]

RATE = 8000


@dataclass(frozen=True, slots=True)
class Mixdown:
    """Caller and bot, sample by sample in sync.

    The caller's samples stand where they were spoken, the bot's where they could be heard at the
    earliest: at the place that the quickest packet of the call gives its RTP timestamps.
    """

    begin_ns: int
    """Instant of the first sample of both."""
    caller: NDArray[np.int16]
    bot: NDArray[np.int16]

    @classmethod
    def of(cls, sent: tuple[SentPacket, ...], heard: Heard) -> Self:
        """Lay out one call.

        Raises:
            ValueError: If nothing was sent or nothing was heard: there is no call to draw.
        """
        audio = [packet for packet in sent if packet.payload_type == heard.payload_type]
        if not audio or not heard.packets:
            raise ValueError("a call without packets of both sides cannot be recorded")
        bot_ns = heard.grid_ns
        begin_ns = min(audio[0].due_ns - FRAME_NS, bot_ns)
        decode = decode_ulaw if heard.payload_type == 0 else decode_alaw
        spoken = [(_place(packet.due_ns - FRAME_NS, begin_ns), packet.payload) for packet in audio]
        ends = [place + len(payload) for place, payload in spoken]
        total = max(*ends, _place(bot_ns, begin_ns) + len(heard.codes))
        caller = np.zeros(total, np.int16)
        for place, payload in spoken:
            caller[place : place + len(payload)] = decode(np.frombuffer(payload, np.uint8))
        bot = np.zeros(total, np.int16)
        place = _place(bot_ns, begin_ns)
        bot[place : place + len(heard.codes)] = heard.pcm
        return cls(begin_ns, caller, bot)

    def second_of(self, instant_ns: int) -> float:
        """Where an instant stands on the axis."""
        return (instant_ns - self.begin_ns) / 1e9

    @property
    def duration_s(self) -> float:
        return len(self.bot) / RATE

    def write_wav(self, path: Path) -> None:
        """Stereo, 16 bit, 8 kHz: caller left, bot right."""
        with wave.open(str(path), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(np.stack((self.caller, self.bot), axis=1).astype("<i2").tobytes())


def _place(instant_ns: int, begin_ns: int) -> int:
    return round((instant_ns - begin_ns) / TICK_NS)

"""A phone by hand that presses keys in whatever ways it is told to, and listens for keys that come back."""

import struct
import time
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from bridge.plane.g711 import decode_ulaw, encode_ulaw
from bridge.rtp.dtmf import DIGITS, DtmfReceiver, KeyUp, parse_event
from bridge.rtp.header import RtpPacket, parse
from tests.e2e.bare_phone import BarePhone
from tests.plane.dialling import downs, listen, tone

__all__ = ["KeyPhone"]

_FRAME_S = 0.02
_ON_FRAMES, _OFF_FRAMES = 5, 5
_EVENTS = 97


class KeyPhone(BarePhone):
    """Sends a quiet line's noise every 20 ms, and keys over it."""

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(target)
        self.received: list[RtpPacket] = []
        """Everything that came back, in order of arrival."""
        self._sequence = 65_530
        self._timestamp = 2**32 - 8000
        self._cseq = 1
        self._due_s = 0.0
        self._noise = np.random.default_rng(1).normal(0, 20, 160)

    def dial(self, user: str, *, events: bool, comfort: bool = False) -> None:
        """Call until media flows."""
        self.invite(user, events=events, comfort=comfort)
        self.ack()
        self.rtp.setblocking(False)
        self._due_s = time.monotonic()
        self.rest(10)

    def rest(self, frames: int) -> None:
        """Press nothing for a while."""
        for _ in range(frames):
            self._frame_out(self._noise)

    def key(self, digits: str, *, by: Collection[str]) -> None:
        """Press keys by ``events``, ``tones`` and ``info``, one of them or all at once."""
        for digit in digits:
            sound = tone(digit, ms=20 * _ON_FRAMES).reshape(-1, 160)
            begin, event = self._timestamp, DIGITS.index(digit)
            for at in range(_ON_FRAMES + _OFF_FRAMES):
                is_on = at < _ON_FRAMES
                if "info" in by and at == _ON_FRAMES:
                    self._cseq += 1
                    self.info(
                        f"Signal={digit}\r\nDuration=100\r\n", "application/dtmf-relay", cseq=self._cseq
                    )
                if "events" in by and at < _ON_FRAMES + 2:
                    is_end = at >= _ON_FRAMES - 1
                    ticks = 160 * min(at + 1, _ON_FRAMES)
                    payload = struct.pack("!BBH", event, is_end << 7 | 10, ticks)
                    self._packet_out(_EVENTS, payload, timestamp=begin, marker=at == 0)
                self._frame_out(self._noise + sound[at] if is_on and "tones" in by else self._noise)

    def infos_answered(self) -> int:
        """How many of the INFOs sent were answered with 200."""
        count = 0
        self.sip.settimeout(0.5)
        try:
            while True:
                message = self.sip.recv(65535).decode()
                count += message.startswith("SIP/2.0 200") and "INFO" in message
        except TimeoutError:
            return count

    def keys_back(self) -> str:
        """What came back as telephone events."""
        receiver = DtmfReceiver()
        for at, packet in enumerate(self.received):
            receiver.handle_timeout(now_ns=at * 20_000_000)
            if packet.payload_type == _EVENTS:
                receiver.receive(
                    parse_event(packet.payload), timestamp=packet.timestamp, now_ns=at * 20_000_000
                )
        return "".join(step.digit for step in receiver.drain() if isinstance(step, KeyUp))

    def tones_back(self) -> str:
        """What came back as tones."""
        (changes,) = listen([self.sound().astype(float)], codec=False)
        return downs(changes)

    def sound(self) -> NDArray[np.int16]:
        """All sound that came back."""
        codes = b"".join(packet.payload for packet in self.received if packet.payload_type == 0)
        return decode_ulaw(np.frombuffer(codes, np.uint8))

    def _frame_out(self, sound: NDArray[np.float64]) -> None:
        self._packet_out(0, encode_ulaw(sound.clip(-32768, 32767).astype(np.int16)).tobytes())
        self._timestamp = (self._timestamp + 160) % 2**32
        self._due_s += _FRAME_S
        time.sleep(max(0.0, self._due_s - time.monotonic()))
        try:
            while True:
                self.received.append(parse(self.rtp.recv(2048)))
        except BlockingIOError:
            pass

    def _packet_out(
        self, payload_type: int, payload: bytes, *, timestamp: int | None = None, marker: bool = False
    ) -> None:
        self._sequence = (self._sequence + 1) % 2**16
        stamp = self._timestamp if timestamp is None else timestamp
        head = struct.pack("!BBHII", 0x80, marker << 7 | payload_type, self._sequence, stamp, 0xFACE)
        self.rtp.sendto(head + payload, self.media)

"""A phone's media: its own socket, its own thread, one packet every 20 ms (RFC 3550, 3551, 4733).

Nothing here shares code with the media engine except the G.711 tables: what the lab
measures must not be measured with itself.
"""

import contextlib
import errno
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.hosts import is_v6
from bridge.load.clip import Clip
from bridge.load.tape import SentPacket, Tape, read_packet
from bridge.plane.g711 import encode_alaw, encode_ulaw

__all__ = ["FRAME_NS", "FRAME_SAMPLES", "Playing", "RtpPhone", "spoken_ns"]

FRAME_SAMPLES = 160
FRAME_NS = 20_000_000
_SAMPLE_NS = 125_000
_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python 3.11 does not name it
_TIMESPEC = struct.Struct("@qq")
_NOISE_AMPLITUDE = 12  # about -72 dBFS: the floor of a quiet line, which no gate may take for a voice
_CLOCK_CHECK_NS = 1_000_000_000
_END_PACKETS = 3  # RFC 4733 §2.5.1.4: the end is said three times
_DIGITS = "0123456789*#ABCD"


def spoken_ns(sent_ns: int, offset_samples: int) -> int:
    """Instant at which a sample was spoken, from the send time of the packet that holds it.

    A packet leaves when its last sample has been spoken, so its first one is 20 ms older.
    """
    return sent_ns - FRAME_NS + offset_samples * _SAMPLE_NS


@dataclass(slots=True)
class Playing:
    """One clip on its way to the bridge."""

    clip: Clip
    begin_sample: int
    """Where the clip's first sample stands in everything this phone has ever said."""
    onset: Future[int] = field(default_factory=Future)
    """When the onset's sample was spoken, monotonic ns: mark t0."""
    end: Future[int] = field(default_factory=Future)
    """When the clip's last packet was sent, monotonic ns."""


@dataclass(slots=True)
class _Key:
    """A key held down, as a telephone-event stream."""

    event: int
    frames_left: int
    ends_left: int = _END_PACKETS
    timestamp: int | None = None
    duration_ticks: int = 0
    done: Future[int] = field(default_factory=Future)


def _clock_offset_ns() -> int:
    """Monotonic minus real time, from the quickest of a few readings."""
    best: tuple[int, int] | None = None
    for _ in range(8):
        before_ns = time.monotonic_ns()
        real_ns = time.time_ns()
        width_ns = time.monotonic_ns() - before_ns
        if best is None or width_ns < best[0]:
            best = (width_ns, before_ns + width_ns // 2 - real_ns)
    assert best is not None  # noqa: S101  the loop has run
    return best[1]


class RtpPhone:
    """Speak and listen over RTP until closed.

    Args:
        local_ip: Address to bind; the port is the kernel's choice.
        ssrc: Synchronisation source of what this phone sends.
        on_arrival: Called from the phone's thread after each batch of packets; must not block.
        noise: Send a quiet line's noise rather than digital silence between clips.
    """

    def __init__(
        self,
        local_ip: str = "127.0.0.1",
        *,
        ssrc: int,
        on_arrival: Callable[[], None] | None = None,
        noise: bool = True,
    ) -> None:
        self.tape: Tape = Tape()
        self.ssrc: int = ssrc
        self._on_arrival = on_arrival
        self._socket = _open_socket(local_ip)
        self.local_port: int = self._socket.getsockname()[1]
        self._line = _Line(ssrc, noise=noise)
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._silenced = threading.Event()

    def start(self, remote: tuple[str, int], *, payload_type: int, event_payload_type: int = -1) -> None:
        """Begin to send to `remote`; `payload_type` is 0 (PCMU) or 8 (PCMA)."""
        self._line.agree(payload_type, event_payload_type, base_ns=time.monotonic_ns())
        self._thread = threading.Thread(
            target=self._run, args=(remote, payload_type), name=f"phone-{self.local_port}", daemon=True
        )
        self._thread.start()

    def say(self, clip: Clip, *, at_ns: int | None = None) -> Playing:
        """Speak `clip` over the line; its first sample at `at_ns` or, when that is past, at once."""
        return self._line.say(clip, at_ns)

    def press(self, digit: str, *, tone_ms: int = 100) -> Future[int]:
        """Hold one key down; the result is when its last packet was sent."""
        return self._line.press(digit, tone_ms)

    def fall_silent(self, silent: bool = True) -> None:
        """Send nothing at all any more, as a phone that lost its network; or send again."""
        if silent:
            self._silenced.set()
        else:
            self._silenced.clear()

    def close(self) -> None:
        """Stop, and wait for the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=2)
        self._socket.close()
        self._line.abandon()

    def _run(self, remote: tuple[str, int], payload_type: int) -> None:
        offset_ns = _clock_offset_ns()
        checked_ns = time.monotonic_ns()
        due_ns = self._line.base_ns + FRAME_NS
        while not self._stopping.is_set():
            # Absolute deadlines: a late packet does not make the next one late.
            if (wait_ns := due_ns - time.monotonic_ns()) > 0:
                time.sleep(wait_ns / 1e9)
            self._send(remote, due_ns)
            if due_ns - checked_ns > _CLOCK_CHECK_NS:
                offset_ns, checked_ns = _clock_offset_ns(), due_ns  # real time may be slewed or stepped
            self._drain(remote, offset_ns)
            due_ns += FRAME_NS
        self._drain(remote, offset_ns)

    def _send(self, remote: tuple[str, int], due_ns: int) -> None:
        data, packet_payload_type, sequence, timestamp = self._line.next_packet()
        sent_ns = time.monotonic_ns()
        if not self._silenced.is_set():
            with contextlib.suppress(OSError):  # ICMP refusals and full buffers are the network's loss
                self._socket.sendto(data, remote)
            self.tape.add_sent(
                SentPacket(due_ns, sent_ns, sequence, timestamp, packet_payload_type, data[12:])
            )
        self._line.settle(sent_ns)

    def _drain(self, remote: tuple[str, int], offset_ns: int) -> None:
        arrived = False
        while True:
            try:
                data, ancillary, _, source = self._socket.recvmsg(2048, 64)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno == errno.ECONNREFUSED:
                    continue  # an ICMP answer to something we sent; the next packet may be fine
                break
            arrival_ns = _arrival_ns(ancillary, offset_ns)
            packet = read_packet(data, arrival_ns=arrival_ns)
            if source[:2] != remote:
                self.tape.strangers += 1
            elif packet is None:
                self.tape.malformed += 1
            else:
                self.tape.add_received(packet)
                arrived = True
        if arrived and self._on_arrival is not None:
            self._on_arrival()


class _Line:
    """What the phone says next: noise, clips laid over it, keys."""

    def __init__(self, ssrc: int, *, noise: bool) -> None:
        self.base_ns: int = 0
        self._ssrc = ssrc
        self._payload_type = 0
        self._event_payload_type = -1
        self._frame = 0
        self._playing: list[Playing] = []
        self._keys: deque[_Key] = deque()
        self._lock = threading.Lock()
        # Seeded: two runs of the lab must put the same noise on the line.
        noise_pcm = np.random.default_rng(1).normal(0, _NOISE_AMPLITUDE / 2, 50 * FRAME_SAMPLES)
        self._noise = noise_pcm.astype(np.int16) if noise else np.zeros(50 * FRAME_SAMPLES, np.int16)

    def agree(self, payload_type: int, event_payload_type: int, *, base_ns: int) -> None:
        with self._lock:
            self._payload_type = payload_type
            self._event_payload_type = event_payload_type
            self.base_ns = base_ns

    def say(self, clip: Clip, at_ns: int | None) -> Playing:
        with self._lock:
            begin = self._frame * FRAME_SAMPLES
            if at_ns is not None:
                begin = max(begin, round((at_ns - self.base_ns) / _SAMPLE_NS))
            playing = Playing(clip, begin)
            self._playing.append(playing)
            return playing

    def press(self, digit: str, tone_ms: int) -> Future[int]:
        if self._event_payload_type < 0:
            raise ValueError("the answer has no telephone-event: this call has no keys")
        key = _Key(_DIGITS.index(digit), frames_left=max(1, tone_ms // 20))
        with self._lock:
            self._keys.append(key)
        return key.done

    def next_packet(self) -> tuple[bytes, int, int, int]:
        """The packet of this frame: its bytes, payload type, sequence number and timestamp."""
        with self._lock:
            sequence = (self._ssrc + self._frame) & 0xFFFF
            # Both start anywhere (RFC 3550 §5.1), so that wraps happen in the lab too.
            timestamp = (self._ssrc * 40_503 + self._frame * FRAME_SAMPLES) & 0xFFFFFFFF
            marker = 0x80 if self._frame == 0 else 0
            payload_type = self._payload_type
            if self._keys:
                payload_type = self._event_payload_type
                marker, timestamp, payload = _key_packet(self._keys[0], timestamp)
            else:
                payload = self._sound()
        header = struct.pack("!BBHII", 0x80, marker | payload_type, sequence, timestamp, self._ssrc)
        return header + payload, payload_type, sequence, timestamp

    def settle(self, sent_ns: int) -> None:
        """Account for the packet just sent and move on to the next frame."""
        begin = self._frame * FRAME_SAMPLES
        end = begin + FRAME_SAMPLES
        with self._lock:
            self._frame += 1
            for playing in self._playing:
                onset = playing.begin_sample + playing.clip.onset_sample
                if begin <= onset < end:
                    _keep(playing.onset, spoken_ns(sent_ns, onset - begin))
            over = [p for p in self._playing if p.begin_sample + len(p.clip.pcm) <= end]
            self._playing = [p for p in self._playing if p.begin_sample + len(p.clip.pcm) > end]
            released = self._keys.popleft() if self._keys and not self._keys[0].ends_left else None
        for playing in over:
            _keep(playing.end, sent_ns)
        if released is not None:
            _keep(released.done, sent_ns)

    def abandon(self) -> None:
        """Cancel whatever was not said."""
        with self._lock:
            for playing in self._playing:
                playing.onset.cancel()
                playing.end.cancel()
            for key in self._keys:
                key.done.cancel()

    def _sound(self) -> bytes:
        begin = self._frame * FRAME_SAMPLES
        first = begin % len(self._noise)
        mixed: NDArray[np.int32] = self._noise[first : first + FRAME_SAMPLES].astype(np.int32)
        for playing in self._playing:
            skip = begin - playing.begin_sample
            source = playing.clip.pcm[max(0, skip) : max(0, skip + FRAME_SAMPLES)]
            target = max(0, -skip)
            mixed[target : target + len(source)] += source
        pcm = np.clip(mixed, -32768, 32767).astype(np.int16)
        encode = encode_ulaw if self._payload_type == 0 else encode_alaw
        return encode(pcm).tobytes()


def _keep(promise: Future[int], result_ns: int) -> None:
    """Hand over a result, unless who waited for it has given up: that must not end the phone's thread."""
    if promise.set_running_or_notify_cancel():
        promise.set_result(result_ns)


def _key_packet(key: _Key, timestamp: int) -> tuple[int, int, bytes]:
    """Marker, timestamp and payload of a key's next packet (RFC 4733 §2.3, §2.5.1)."""
    marker = 0
    if key.timestamp is None:
        key.timestamp = timestamp
        marker = 0x80
    if key.frames_left:
        key.frames_left -= 1
        key.duration_ticks += FRAME_SAMPLES
        end = 0
    else:
        key.ends_left -= 1
        end = 0x80
    return marker, key.timestamp, struct.pack("!BBH", key.event, end | 10, key.duration_ticks)


def _open_socket(local_ip: str) -> socket.socket:
    """Bind an even port, as RTP likes it (RFC 3550 §11), with kernel receive times where there are any."""
    for _ in range(64):
        family = socket.AF_INET6 if is_v6(local_ip) else socket.AF_INET
        candidate = socket.socket(family, socket.SOCK_DGRAM)
        candidate.bind((local_ip, 0))
        if candidate.getsockname()[1] % 2 == 0:
            break
        candidate.close()
    else:
        raise OSError(errno.EADDRINUSE, f"no even port is free on {local_ip}")
    candidate.setblocking(False)
    if sys.platform == "linux":
        candidate.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    return candidate


def _arrival_ns(ancillary: list[tuple[int, int, bytes]], offset_ns: int) -> int:
    """Receive time on the monotonic clock: the kernel's where it gave one, else now."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return int(seconds * 1_000_000_000 + nanoseconds + offset_ns)
    return time.monotonic_ns()

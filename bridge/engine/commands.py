"""What the control plane and the media process tell each other, as typed values and as bytes.

A frame is a length (u32), a kind (u8) and the fields in order, nested values inlined,
texts last: integers as i64, truths as one byte, texts as u16 length and UTF-8, bytes likewise.
"""

import dataclasses
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from bridge.errors import RemoteProtocolError
from bridge.plane import events
from bridge.plane.events import PlaneEvent
from bridge.plane.spec import RowSpec
from bridge.rtp.srtp import CLEAR, SrtpKeys

__all__ = [
    "Carry",
    "CloseRow",
    "Command",
    "Datagram",
    "EngineDied",
    "EngineReplaced",
    "FlushRow",
    "FrameReader",
    "GiveVerdict",
    "HandKey",
    "LegEvent",
    "Message",
    "OpenRow",
    "PressKeys",
    "Ready",
    "ReleaseKeys",
    "Report",
    "RowClosed",
    "RowOpened",
    "SetBed",
    "SetInterruptible",
    "SetSensitivity",
    "SharePort",
    "Stop",
    "StopBed",
    "UpdateRow",
    "encode",
]

MAX_FRAME_BYTES = 4096
"""No honest frame comes near; a longer one means that the two sides have lost step."""
_MAX_TEXT_BYTES = 1024
_PREFIX = struct.Struct("<IB")
_TEXT_LENGTH = struct.Struct("<H")


@dataclass(frozen=True, slots=True)
class Carry:
    """Carry the rows of the memory whose descriptor travels with this frame; a process is told this first."""

    capacity: int
    """Rows of 8 kHz in that memory."""
    wide: int
    """… and of each higher rate."""
    place: int
    """Which of several media processes it is from now on; each has a core of its own."""


@dataclass(frozen=True, slots=True)
class OpenRow:
    """Carry a leg; `fds` descriptors travel with this frame: RTP, then RTCP if there is one."""

    row: int
    fds: int
    spec: RowSpec
    shared_port: int = -1
    """Number of the shared port that carries it; -1 = it has one of its own."""
    srtp: SrtpKeys = CLEAR
    """Encrypt it from its first packet on."""


@dataclass(frozen=True, slots=True)
class SharePort:
    """A port that several rows will share; `fds` descriptors travel with this frame, as in `OpenRow`."""

    port: int
    """Its number: 0, 1, 2 … in this order."""
    fds: int


@dataclass(frozen=True, slots=True)
class UpdateRow:
    """Signalling changed its mind; the sockets stay, and so do sequence and timestamp."""

    row: int
    spec: RowSpec
    srtp: SrtpKeys = CLEAR
    """Keys from now on; a direction whose key stays goes on under it."""


@dataclass(frozen=True, slots=True)
class CloseRow:
    """The leg is over; answered with `RowClosed`, after which row and port are free."""

    row: int
    generation: int


@dataclass(frozen=True, slots=True)
class SetInterruptible:
    row: int
    generation: int
    bits: int


@dataclass(frozen=True, slots=True)
class SetSensitivity:
    """How easily a voice takes the floor: 0 low, 1 medium, 2 high; -1 as all rows are told."""

    row: int
    generation: int
    sensitivity: int


@dataclass(frozen=True, slots=True)
class SetBed:
    """Play the loop of so many samples that lies at place `bed` of the shelf, under what is said."""

    row: int
    generation: int
    bed: int
    samples: int
    gain_db: int
    under_speech_db: int
    yields: bool


@dataclass(frozen=True, slots=True)
class StopBed:
    """Let the row's bed fade out."""

    row: int
    generation: int


@dataclass(frozen=True, slots=True)
class FlushRow:
    row: int
    generation: int


@dataclass(frozen=True, slots=True)
class GiveVerdict:
    """Whether the voice that ducked the row under `epoch` is speech."""

    row: int
    generation: int
    epoch: int
    is_speech: bool
    question: int = 0
    """Which voice is meant (`VoiceQuestioned`); 0 is whatever ducks the row."""


@dataclass(frozen=True, slots=True)
class PressKeys:
    """Press keys of ours, one after the other; answered with `KeysSent`."""

    row: int
    generation: int
    ticket: int
    duration_ms: int
    pause_ms: int
    digits: str


@dataclass(frozen=True, slots=True)
class ReleaseKeys:
    """Press no more keys than have been begun."""

    row: int
    generation: int


@dataclass(frozen=True, slots=True)
class HandKey:
    """The caller pressed a key of which signalling was told (SIP INFO)."""

    row: int
    generation: int
    duration_ms: int
    digit: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End the media process in good order."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The media process has loaded everything and takes commands."""

    pid: int
    is_realtime: bool
    """SCHED_FIFO was granted."""
    is_batched: bool
    """recvmmsg and its kin are in use, not plain sockets."""
    tick_ns: int = 0
    """What a tick takes (`bridge.engine.budget.Costs`); 0 = not measured."""
    pair_ns: int = 0
    """… and each packet received and sent in it."""


@dataclass(frozen=True, slots=True)
class RowOpened:
    """The plane carries the leg from now on, and its rings accept speech."""

    row: int
    generation: int


@dataclass(frozen=True, slots=True)
class RowClosed:
    """The row is zeroed and its descriptors are closed in the media process."""

    row: int
    generation: int


@dataclass(frozen=True, slots=True)
class Datagram:
    """STUN or DTLS came to a row's port; answers leave from the control plane's own socket."""

    row: int
    generation: int
    at_ns: int
    source_key: int
    """Where from, ``host << 16 | port``."""
    data: bytes = field(repr=False)
    host: bytes = b""
    """The IPv6 address that the key stands for; empty of IPv4."""


@dataclass(frozen=True, slots=True)
class EngineDied:
    """The media process ended, and this leg's media with it; made by the control plane itself."""

    row: int
    generation: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class EngineReplaced:
    """The media process ended, and another one carries this leg on; made by the control plane itself.

    Positions, epoch and counters go on. What the dead process could not tell any more was told before this.
    """

    row: int
    generation: int
    at_ns: int


Command: TypeAlias = (
    OpenRow
    | UpdateRow
    | CloseRow
    | SetInterruptible
    | FlushRow
    | GiveVerdict
    | Stop
    | PressKeys
    | ReleaseKeys
    | HandKey
    | SetSensitivity
    | SetBed
    | StopBed
    | SharePort
    | Carry
)
Report: TypeAlias = Ready | RowOpened | RowClosed | Datagram | PlaneEvent
"""What comes back through the pipe."""
LegEvent: TypeAlias = PlaneEvent | EngineDied | EngineReplaced
"""What `MediaLeg.open`'s `deliver` is called with."""
Message: TypeAlias = Command | Report


class _Layout:
    """How one class lies in bytes: fixed fields by one `struct`, then its texts."""

    def __init__(self, cls: type[Any]) -> None:
        self._cls = cls
        self._nested: dict[str, _Layout] = {}
        self._fixed: list[str] = []
        self._texts: list[str] = []
        self._blobs: list[str] = []
        self._names = [field.name for field in dataclasses.fields(cls)]
        codes = ""
        for name, hint in get_type_hints(cls).items():
            if dataclasses.is_dataclass(hint):
                self._nested[name] = _Layout(hint) if isinstance(hint, type) else _Layout(type(hint))
            elif hint in _CODES:
                self._fixed.append(name)
                codes += _CODES[hint]
            elif hint is str or get_origin(hint) is Literal:
                self._texts.append(name)
            elif hint is bytes:
                self._blobs.append(name)
            else:
                raise TypeError(f"{cls.__name__}.{name}: {hint} cannot travel")
        self._struct = struct.Struct("<" + codes)
        # Two names at least make it return a tuple whatever the class.
        self._get = attrgetter("__class__", "__class__", *self._fixed)

    def encode(self, value: object) -> bytes:
        parts = [self._struct.pack(*self._get(value)[2:])]
        parts += [layout.encode(getattr(value, name)) for name, layout in self._nested.items()]
        for name in self._texts:
            # A text too long for its frame is cut: it is a message for people.
            text = getattr(value, name).encode()[:_MAX_TEXT_BYTES]
            parts += (_TEXT_LENGTH.pack(len(text)), text)
        for name in self._blobs:
            blob = getattr(value, name)
            parts += (_TEXT_LENGTH.pack(len(blob)), blob)
        return b"".join(parts)

    def decode(self, data: memoryview, at: int) -> tuple[Any, int]:
        values = dict(zip(self._fixed, self._struct.unpack_from(data, at), strict=True))
        at += self._struct.size
        for name, layout in self._nested.items():
            values[name], at = layout.decode(data, at)
        for name in (*self._texts, *self._blobs):
            (length,) = _TEXT_LENGTH.unpack_from(data, at)
            at += _TEXT_LENGTH.size
            if at + length > len(data):
                raise ValueError("text runs over the end")
            blob = bytes(data[at : at + length])
            values[name] = blob if name in self._blobs else blob.decode(errors="replace")
            at += length
        return self._cls(**values), at


_CODES: dict[Any, str] = {int: "q", bool: "?"}
_CLASSES: tuple[type[Any], ...] = (
    *get_args(Command),
    Ready,
    RowOpened,
    RowClosed,
    Datagram,
    *(getattr(events, name) for name in events.__all__ if isinstance(getattr(events, name), type)),
)
_KINDS = {cls: kind for kind, cls in enumerate(_CLASSES, start=1)}
_LAYOUTS = {kind: _Layout(cls) for cls, kind in _KINDS.items()}


def encode(message: Message) -> bytes:
    """One frame, ready for the pipe."""
    kind = _KINDS[type(message)]
    body = _LAYOUTS[kind].encode(message)
    return _PREFIX.pack(len(body), kind) + body


class FrameReader:
    """Cuts a byte stream into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield every message that `data` completes.

        Raises:
            RemoteProtocolError: If the stream is garbage. Nothing after that can be trusted:
                drop the connection.
        """
        self._buffer += data
        while len(self._buffer) >= _PREFIX.size:
            length, kind = _PREFIX.unpack_from(self._buffer)
            if length > MAX_FRAME_BYTES:
                raise RemoteProtocolError(
                    f"a frame of {length} bytes on the media pipe, at most {MAX_FRAME_BYTES}"
                )
            end = _PREFIX.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_PREFIX.size : end])
            del self._buffer[:end]
            yield _decode(kind, body)


def _decode(kind: int, body: bytes) -> Message:
    layout = _LAYOUTS.get(kind)
    if layout is None:
        raise RemoteProtocolError(f"a frame of unknown kind {kind} on the media pipe")
    try:
        message, at = layout.decode(memoryview(body), 0)
    except (struct.error, ValueError) as error:
        raise RemoteProtocolError(
            f"a broken {_CLASSES[kind - 1].__name__} on the media pipe: {error}"
        ) from error
    if at != len(body):
        raise RemoteProtocolError(f"{len(body) - at} bytes too many in {_CLASSES[kind - 1].__name__}")
    decoded: Message = message
    return decoded

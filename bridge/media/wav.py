"""PCM as it is and in RIFF WAVE: the packer, and the walk through the chunks of a file that may lie."""

import struct
from collections.abc import Iterator, Mapping

from bridge.errors import RemoteProtocolError

__all__ = ["PcmPacker", "read_info", "riff_chunks", "wav_header"]

_ENDLESS = 0xFFFFFFFF


class PcmPacker:
    """Samples as they are, behind a header or none: bit for bit, at no delay and no cost.

    Args:
        header: Bytes before the first sample, such as `wav_header`.
    """

    def __init__(self, header: bytes = b"") -> None:
        self._header = header

    @property
    def late_samples(self) -> int:
        """Always 0: nothing is ever put in between."""
        return 0

    def push(self, pcm: bytes) -> bytes:
        """Give all that is pushed."""
        if not pcm:
            return b""
        header, self._header = self._header, b""
        return header + pcm

    def settle(self) -> bytes:
        """Nothing: no sample ever waits."""
        return b""

    def finish(self) -> bytes:
        """Nothing, for a streamed header cannot be mended."""
        return b""


def wav_header(rate: int, tags: Mapping[str, str] | None = None) -> bytes:
    """A RIFF header of a stream whose length nobody knows yet: both sizes are 0xFFFFFFFF.

    Args:
        rate: Sampling frequency in Hz of mono 16-bit samples.
        tags: Keys of four ASCII characters, which become ids in a LIST INFO chunk before ``data``; UTF-8.
    """
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    info = b"".join(_chunk(key.encode(), value.encode() + b"\0") for key, value in (tags or {}).items())
    listed = _chunk(b"LIST", b"INFO" + info) if info else b""
    begin = struct.pack("<4sI4s", b"RIFF", _ENDLESS, b"WAVE")
    return begin + layout + listed + struct.pack("<4sI", b"data", _ENDLESS)


def riff_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Walk through the chunks of a WAVE file: id and body.

    Sizes are not believed: a chunk that claims more than there is gets what there is.

    Raises:
        RemoteProtocolError: If `data` does not begin as a WAVE file.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise RemoteProtocolError(f"not a wav file: it begins with {data[:12]!r}")
    yield from _walk(memoryview(data)[12:])


def read_info(data: bytes) -> dict[str, str]:
    """Texts of the LIST INFO chunks, by id.

    Raises:
        RemoteProtocolError: If `data` is not a WAVE file.
    """
    tags: dict[str, str] = {}
    for name, body in riff_chunks(data):
        if name == b"LIST" and bytes(body[:4]) == b"INFO":
            for key, text in _walk(body[4:]):
                tags[key.decode("latin-1")] = bytes(text).rstrip(b"\0").decode(errors="replace")
    return tags


def _walk(body: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    at = 0
    while at + 8 <= len(body):
        name, size = struct.unpack_from("<4sI", body, at)
        yield name, body[at + 8 : at + 8 + size]
        # Bodies of odd length are followed by a byte that does not count.
        at += 8 + size + size % 2


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", name, len(body)) + body + bytes(len(body) % 2)

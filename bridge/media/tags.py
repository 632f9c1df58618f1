"""The identifier of generated content (GB 45438-2025) as a text in the header of a sound file.

It is one JSON object under the key ``AIGC``. Where the cloud puts it is not documented; here it stands

- in wav: chunk ``AIGC`` in the LIST INFO chunk before ``data``, ended by a NUL;
- in mp3: a TXXX frame with the description ``AIGC`` in the ID3v2.4 tag in front, in UTF-8;
- in opus: a comment ``AIGC=…`` in OpusTags (RFC 7845 §5.2).

ffprobe shows each of the three as ``AIGC``. pcm has no place for it.
"""

import json

from bridge.media.mp3 import read_id3
from bridge.media.ogg import OggReader, Packet, parse_opus_tags
from bridge.media.wav import read_info

__all__ = ["AIGC", "aigc_tags", "read_tags"]

AIGC = "AIGC"
"""The key of the identifier."""

_PRODUCER = "cosybridge"
_CERTAIN = "1"  # the content is generated; 2 would say "perhaps", 3 "suspected"
_SLICE = 4096


def aigc_tags(propagator: str, propagate_id: str, produce_id: str) -> dict[str, str]:
    """The identifier, ready for `packer`.

    Args:
        propagator: Who passes the sound on (``aigc_propagator``).
        propagate_id: Their number for it (``aigc_propagate_id``).
        produce_id: Our number for it.
    """
    identifier = {
        "Label": _CERTAIN,
        "ContentProducer": _PRODUCER,
        "ProduceID": produce_id,
        "ReservedCode1": "",
        "ContentPropagator": propagator,
        "PropagateID": propagate_id,
        "ReservedCode2": "",
    }
    # ASCII with escapes: readers of INFO chunks guess at the code page.
    return {AIGC: json.dumps(identifier, separators=(",", ":"))}


def read_tags(data: bytes, format: str) -> dict[str, str]:
    """Find the texts in the header of a file: all of INFO, of ID3 TXXX, or of OpusTags.

    Args:
        data: The file, or as much of its beginning as holds the header.
        format: ``wav``, ``mp3`` or ``opus``; any other has none.

    Raises:
        RemoteProtocolError: If `data` is not of that format or its header is cut off.
    """
    if format == "wav":
        return read_info(data)
    if format == "mp3":
        return read_id3(data)
    return _read_comments(data) if format == "opus" else {}


def _read_comments(data: bytes) -> dict[str, str]:
    reader = OggReader()
    packets: list[Packet] = []
    for at in range(0, len(data), _SLICE):
        packets += reader.push(data[at : at + _SLICE])
        if len(packets) > 1:
            break
    return parse_opus_tags(packets[1].data if len(packets) > 1 else b"")

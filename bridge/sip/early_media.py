"""What a network is told of the sound before the answer, so that it lets it through (RFC 5009)."""

from bridge.sip.message import Headers
from bridge.sip.sdp import SessionDescription

__all__ = ["authorization_of"]

_FIELD = "P-Early-Media"


def authorization_of(asked: Headers, sdp: bytes) -> list[tuple[str, str]]:
    """The field of a 183 that says which ways sound goes (§8.2); none where nobody understands it.

    Args:
        asked: Of the caller's INVITE.
        sdp: Our description; the field's word is that of its audio, seen from us as well.
    """
    if "supported" not in [value.partition(";")[0].strip().lower() for value in asked.listed(_FIELD)]:
        return []
    described = SessionDescription.parse(sdp)
    # One word for each stream, in their order (§8): those that we refused carry nothing.
    words = [described.direction_of(media) if media.port else "inactive" for media in described.media]
    return [(_FIELD, ", ".join(words))]

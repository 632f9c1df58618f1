"""Offer and answer for one stream of speech: codec, security, keys (RFC 3264, 3605, 4568, 4733, 5761)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bridge.errors import NegotiationError
from bridge.sip.codecs import (
    CODECS,
    DEFAULT_CODECS,
    NAMES,
    Codec,
    numbering,
    wanted,
)
from bridge.sip.ice import IceParty
from bridge.sip.sdp import Attributes, Media, RtpMap, SessionDescription
from bridge.sip.security import CLEAR_PROFILES, MediaSecurity
from bridge.sip.stream import (
    LocalMedia,
    Negotiated,
    answered,
    choose,
    describe,
    in_use,
    is_events,
    of_session,
    offered,
    refused,
)

__all__ = ["LocalMedia", "Negotiated", "Negotiator", "accept", "answer", "is_alike", "make_offer"]

_TAKING_TURNS = (0, 1)
"""PCMU and PCMA: the media row can change between them at any packet."""


def is_alike(codec: int, other: int) -> bool:
    """Whether a media row that was made for one codec can carry the other."""
    return codec == other or (codec in _TAKING_TURNS and other in _TAKING_TURNS)


def answer(
    offer: bytes, local: LocalMedia, *, codecs: Iterable[str] = DEFAULT_CODECS
) -> tuple[bytes, Negotiated]:
    """Answer with the first stream and the first codec of it that is among `codecs`; refuse the others.

    One codec only: a peer may switch between all that an answer lists, from one packet to the next.

    Raises:
        RemoteProtocolError: If the offer is not SDP.
        NegotiationError: If it has nothing for us: answer 488.
    """
    theirs = SessionDescription.parse(offer)
    description, chosen = _answer(theirs, local, wanted(codecs), None, security=MediaSecurity())
    return bytes(description), chosen


def make_offer(
    local: LocalMedia, *, direction: str = "sendrecv", codecs: Iterable[str] = DEFAULT_CODECS
) -> bytes:
    """Offer `codecs`, best first, and telephone events, as the first word of a call."""
    numbers = numbering(wanted(codecs), {}, {}, comfort_noise=local.comfort_noise)
    return bytes(describe(local, (offered(local, numbers, direction=direction),)))


def accept(
    answer: bytes,
    *,
    direction: str = "sendrecv",
    index: int = 0,
    codecs: Iterable[str] = DEFAULT_CODECS,
    security: MediaSecurity | None = None,
    comfort_noise: bool = False,
    local_ip: str = "0.0.0.0",
) -> Negotiated:
    """Read the peer's answer to an offer of ours.

    Args:
        answer: The answer.
        direction: What our offer said.
        index: Which of its streams was the audio.
        codecs: What it offered.
        security: What the offer was secured with, if it was.
        comfort_noise: Whether it offered that.
        local_ip: Our address in it, or any of its family.

    Raises:
        RemoteProtocolError: If it is not SDP.
        NegotiationError: If the peer refused the stream or chose what we did not offer.
    """
    security = security or MediaSecurity()
    agreed = _accept(
        answer,
        wanted(codecs),
        None,
        local_ip=local_ip,
        security=security,
        direction=direction,
        index=index,
    )
    return agreed if comfort_noise else replace(agreed, comfort_payload_type=-1)


class Negotiator:
    """Our end of a call's descriptions: keeps the session id, the streams and their numbers (RFC 3264 §8).

    A call keeps the codec that it began with: its media row was made for that. PCMU and PCMA may take turns.

    Args:
        ip: Address that the peer can send media to.
        port: RTP port.
        session_id: Random; at most 63 bits.
        codecs: Names of what we speak, best first.
        security: Who makes and takes keys; None encrypts nothing.
        ice: Who speaks of ICE; None does without.
        comfort_noise: Whether silence beside G.711 may be said instead of sent.
        source: Our SSRC and its name, ``123 cname:abc``, for peers with ICE; empty says nothing of it.
    """

    def __init__(
        self,
        *,
        ip: str,
        port: int,
        session_id: int,
        codecs: Sequence[str] = DEFAULT_CODECS,
        security: MediaSecurity | None = None,
        ice: IceParty | None = None,
        comfort_noise: bool = False,
        source: str = "",
    ) -> None:
        self._security = security or MediaSecurity()
        self._ice = ice
        self._local = LocalMedia(ip, port, session_id, version=0, comfort_noise=comfort_noise, source=source)
        self._codecs = wanted(codecs)
        self._last = b""
        self._direction = "sendrecv"
        self._is_holding = False
        self._offered_events: dict[int, int] = {}
        """Number under which we offered telephone events, by their clock."""
        self._streams: tuple[Media, ...] = (Media("audio", 0, "RTP/AVP", ("0",)),)
        """Those that the call has by now: a later offer may close one, and never drops one."""
        self._index = 0
        """Which of them is the audio."""
        self._groups: Attributes = ()
        """How the peer groups them."""
        self._known: dict[int, RtpMap] = {}
        """What the peer has called each payload type; no number changes its meaning within a call."""
        self.negotiated: Negotiated | None = None
        self._is_preview = False
        """Whether what is negotiated is only what one phone said before any was answered."""

    def hold(self, is_holding: bool) -> None:
        """Let our descriptions say that we want to hear nothing, or that we do again (RFC 3264 §8.4)."""
        self._is_holding = is_holding

    def offer(self) -> bytes:
        """Describe ourselves first; `accept` takes the answer."""
        direction = self._direction = "sendonly" if self._is_holding else "sendrecv"
        numbers = numbering(
            self._carried(),
            self._known,
            in_use(self.negotiated),
            comfort_noise=self._local.comfort_noise,
        )
        self._offered_events = {
            found.clock_rate: number for number, found in numbers.items() if is_events(found)
        }
        secured, local = self._security.offer(), self._local
        ice = None if self._ice is None else self._ice.offer()
        audio = offered(
            local,
            numbers,
            direction=direction,
            agreed=self.negotiated,
            secured=secured,
            ice=ice,
            name=self._streams[self._index].attribute("mid"),
        )
        self._streams = (*self._streams[: self._index], audio, *self._streams[self._index + 1 :])
        return self._say(describe(local, self._streams, attributes=of_session(self._groups, audio)))

    def preview(self, answer: bytes) -> Negotiated:
        """Take an answer that came before the call was answered; raises as the function `accept` does.

        `accept` may follow, with what another phone says: it may choose again from all that was offered.
        """
        agreed = self.accept(answer)
        self._is_preview = True
        return agreed

    def insist(self, heard: Negotiated) -> None:
        """Let the next `offer` have only what fits to `heard`: the media row was made for that."""
        self.negotiated = heard

    def accept(self, answer: bytes) -> Negotiated:
        """Take the answer to the last `offer`; raises as the function `accept` does."""
        agreed = _accept(
            answer,
            self._carried(),
            self.negotiated,
            local_ip=self._local.ip,
            security=self._security,
            ice=self._ice,
            direction=self._direction,
            index=self._index,
        )
        agreed = self._local.quiet(agreed)
        offered = self._offered_events.get(CODECS[NAMES[agreed.codec]].rtp.clock_rate, -1)
        has_two = agreed.dtmf_payload_type not in (-1, offered)
        self.negotiated = replace(agreed, dtmf_offered=offered) if has_two else agreed
        self._is_preview = False
        self._learn(SessionDescription.parse(answer))
        return self.negotiated

    def answer(self, offer: bytes) -> bytes:
        """Answer the first or a later offer; raises as the function `answer` does, nothing changed."""
        theirs = SessionDescription.parse(offer)
        description, self.negotiated = _answer(
            theirs,
            self._local,
            self._carried(),
            self.negotiated,
            security=self._security,
            ice=self._ice,
            is_holding=self._is_holding,
        )
        self._groups = tuple(each for each in theirs.attributes if each[0] == "group")
        self._streams = description.media
        self._index = next(index for index, media in enumerate(self._streams) if media.port)
        self._learn(theirs)
        return self._say(description)

    def _carried(self) -> tuple[Codec, ...]:
        """What the call may speak from here on."""
        now = self.negotiated
        if now is None or self._is_preview:
            return self._codecs
        if now.codec in _TAKING_TURNS:
            return tuple(codec for codec in self._codecs if codec.number in _TAKING_TURNS)
        return (CODECS[NAMES[now.codec]],)

    def _learn(self, theirs: SessionDescription) -> None:
        self._known |= theirs.media[self._index].rtp_maps()

    def _say(self, description: SessionDescription) -> bytes:
        """Write it down, under a new version if it differs from what was said last (§8)."""
        if bytes(description) != self._last:
            self._local = replace(self._local, version=self._local.version + 1)
            origin = replace(description.origin, version=self._local.version)
            self._last = bytes(replace(description, origin=origin))
        return self._last


def _answer(
    theirs: SessionDescription,
    local: LocalMedia,
    codecs: tuple[Codec, ...],
    now: Negotiated | None,
    *,
    security: MediaSecurity,
    ice: IceParty | None = None,
    is_holding: bool = False,
) -> tuple[SessionDescription, Negotiated]:
    streams = [theirs.completed(media) for media in theirs.media]
    usable: dict[int, Negotiated] = {}
    for index, media in enumerate(streams):
        is_dtls = security.is_dtls(media)
        has_ice = ice is not None and ice.takes(media, ip=local.ip, is_dtls=is_dtls)
        if not security.takes(media):
            continue
        agreed = choose(theirs, media, codecs, now, local_ip=local.ip, has_ice=has_ice)
        if agreed is not None:
            usable[index] = agreed
    if not usable:
        names = " or ".join(codec.name for codec in codecs)
        raise NegotiationError(
            f"the offer has no audio with {names} and our security to one address of our family"
        )
    # Some offer the same twice: first the secure profile, or last.
    best = min(usable, key=lambda index: (streams[index].protocol in CLEAR_PROFILES, index))
    secured = security.answer(streams[best])
    is_dtls = secured.dtls is not None
    terms = None if ice is None else ice.answer(streams[best], ip=local.ip, is_dtls=is_dtls)
    chosen = replace(usable[best], srtp=secured.srtp, dtls=secured.dtls, ice=terms)
    chosen = local.quiet(_on_one_port(chosen))
    if is_holding:
        chosen = replace(chosen, receiving=False)
    ours = [refused(media) for media in theirs.media]
    ours[best] = answered(theirs.media[best], chosen, local, secured)
    attributes = of_session(theirs.attributes, ours[best])
    return describe(local, tuple(ours), attributes=attributes, timing=theirs.timing), chosen


def _accept(
    answer: bytes,
    codecs: tuple[Codec, ...],
    now: Negotiated | None,
    *,
    local_ip: str,
    security: MediaSecurity,
    ice: IceParty | None = None,
    direction: str,
    index: int,
) -> Negotiated:
    theirs = SessionDescription.parse(answer)
    media = theirs.completed(theirs.media[index]) if index < len(theirs.media) else None
    terms = None if ice is None or media is None else ice.accept(media)
    chosen = None
    if media is not None:
        chosen = choose(theirs, media, codecs, now, local_ip=local_ip, has_ice=terms is not None)
    if chosen is None or media is None:
        raise NegotiationError("the answer refuses the audio that we offered")
    secured = security.accept(media)
    return _on_one_port(
        replace(
            chosen,
            srtp=secured.srtp,
            dtls=secured.dtls,
            ice=terms,
            sending=chosen.sending and direction in ("sendrecv", "sendonly"),
            receiving=chosen.receiving and direction in ("sendrecv", "recvonly"),
        )
    )


def _on_one_port(agreed: Negotiated) -> Negotiated:
    """Send reports nowhere where there are none."""
    return agreed if agreed.has_reports else replace(agreed, rtcp=None)

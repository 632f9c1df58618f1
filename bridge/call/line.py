"""One call's media before and while it is served: its leg, its way there, and what was negotiated for it."""

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

from bridge.aio.dtls import Certificate
from bridge.aio.media_path import MediaPath
from bridge.call.caller import Caller, Dialogue
from bridge.call.session import Session
from bridge.call.settings import CallSettings
from bridge.engine.leg import MediaLeg
from bridge.errors import LocalProtocolError, NegotiationError
from bridge.hosts import is_v6
from bridge.ports import IdSource
from bridge.rtp.srtp import SrtpKeys
from bridge.sip.crypto import MediaCrypto
from bridge.sip.dtls import DtlsParty
from bridge.sip.glance import media_address
from bridge.sip.ice import IceParty
from bridge.sip.offer import Negotiated, Negotiator
from bridge.sip.security import MediaSecurity

__all__ = [
    "Line",
    "Media",
    "Terms",
    "expected",
    "has_own_way",
    "ice_of",
    "media_ip",
    "of_family",
    "security_of",
]

_READY_WITHIN_S = 10.0
"""A handshake takes three round trips, and a second more for each that is lost."""


class Media(Protocol):
    """Where rows come from; `bridge.engine.supervisor.MediaEngine` in life."""

    def reserve(
        self, *, remote: tuple[str, int] | None = None, latch_ip: str | None = None, in_ipv6: bool = False
    ) -> MediaLeg: ...
    def refit(self, leg: MediaLeg, rate_hz: int) -> None: ...


class Terms(TypedDict):
    """What the media process is told of a leg."""

    codec: int
    payload_type: int
    dtmf_payload_type: int
    dtmf_offered: int
    dtmf_events: int
    remote: tuple[str, int] | None
    latch_ip: str | None
    sending: bool
    receiving: bool
    interruptible: int
    sensitivity: int
    rtcp: tuple[str, int] | None
    rtcp_mux: bool
    ptime_ms: int
    opus_bitrate: int
    opus_fec: bool
    opus_dtx: bool
    opus_max_rate_hz: int
    opus_loss_percent: int
    comfort_payload_type: int
    srtp: SrtpKeys
    in_band: bool


@dataclass(slots=True)
class Line:
    """One call's media; `prepare` and `stand` open it, and `close` ends what is not the leg's."""

    leg: MediaLeg
    negotiator: Negotiator
    latch_ip: str | None
    certificate: Certificate | None = None
    """Who we are in handshakes; None where there will be none."""
    path: MediaPath | None = None
    """The way of calls with ICE or a handshake."""
    is_open: bool = False

    @property
    def agreed(self) -> Negotiated:
        """What the descriptions so far come to."""
        if self.negotiator.negotiated is None:
            raise LocalProtocolError("media opened before anything was negotiated")
        return self.negotiator.negotiated

    def terms(self, session: Session) -> "Terms":
        """What the media process is told after each offer and answer."""
        agreed, path = self.agreed, self.path
        if agreed.dtls is not None and (path is None or path.keys is None):
            raise LocalProtocolError("media opened before its keys were made")
        session.hold(agreed.held or not agreed.receiving, by_peer=agreed.held)
        return Terms(
            codec=agreed.codec,
            payload_type=agreed.payload_type,
            dtmf_payload_type=agreed.dtmf_payload_type,
            dtmf_offered=agreed.dtmf_offered,
            dtmf_events=agreed.dtmf_events,
            remote=agreed.remote if path is None else path.remote,
            latch_ip=None if path is not None and path.has_ice else self.latch_ip,
            sending=agreed.sending,
            receiving=agreed.receiving,
            interruptible=session.speaker.interruptible,
            sensitivity=session.speaker.sensitivity,
            rtcp=agreed.rtcp,
            rtcp_mux=agreed.rtcp_mux,
            ptime_ms=agreed.ptime_ms,
            opus_bitrate=agreed.opus_bitrate,
            opus_fec=agreed.opus_fec,
            opus_dtx=agreed.opus_dtx,
            opus_max_rate_hz=agreed.opus_max_rate_hz,
            opus_loss_percent=agreed.opus_loss_percent,
            comfort_payload_type=agreed.comfort_payload_type,
            srtp=path.keys if path is not None and path.keys is not None else agreed.srtp,
            in_band=path is not None,
        )

    def prepare(self, session: Session) -> None:
        """Open the media, or listen for what has to come before; after the first offer and answer."""
        self._agree(session)
        if self.path is None or self.path.ready.done():
            self._open(session)
        else:
            self.path.listen()

    async def stand(self, session: Session, sip: Dialogue) -> None:
        """Wait until the media is open; if it never will be, the record says why, unless the peer has left.

        Raises:
            NegotiationError: If it never will be: the peer is not who it should be, silent, or gone.
        """
        if self.is_open or self.path is None:
            return
        either: set[asyncio.Future[Any]] = {self.path.ready, sip.ended}
        await asyncio.wait(either, timeout=_READY_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        if not self.path.ready.done():
            if not sip.ended.done():
                session.trace.reason = "no media"
            raise NegotiationError(f"the peer made no keys for its media within {_READY_WITHIN_S:.0f} s")
        if self.path.ready.exception() is not None:
            session.trace.reason = "media not secured"
        self.path.ready.result()
        self._open(session)

    def update(self, session: Session) -> None:
        """Follow a later offer and answer."""
        self._agree(session)
        if self.is_open:
            self.leg.update(**self.terms(session))

    def close(self) -> None:
        """End what ICE and DTLS do; before the leg closes. Safe twice."""
        self.leg.on_datagram = None
        if self.path is not None:
            self.path.close()

    def _open(self, session: Session) -> None:
        if self.path is not None:
            self.path.hand_over()
        self.leg.open(deliver=session.deliver, **self.terms(session))
        self.is_open = True

    def _agree(self, session: Session) -> None:
        agreed = self.agreed
        if self.path is None and (agreed.dtls is not None or agreed.ice is not None):
            self.path = MediaPath(self.leg.ports.rtp, self.certificate, latch_ip=self.latch_ip)
            self.path.on_change = lambda: self._changed(session)
            self.path.on_end = session.end
            self.leg.on_datagram = self.path.take
        if self.path is not None:
            self.path.agree(agreed)

    def _changed(self, session: Session) -> None:
        if self.is_open:
            self.leg.update(**self.terms(session))


def expected(caller: Caller, settings: CallSettings) -> tuple[tuple[str, int] | None, bool]:
    """Where a caller's media will come from, None if that is not known yet, and whether by IPv6.

    Media may go by another family of addresses than signalling, if we were told our address of that one.
    """
    in_ipv6 = is_v6(caller.local_ip)
    if has_own_way(caller.sdp) or (remote := media_address(caller.sdp)) is None:
        return None, in_ipv6
    if is_v6(remote[0]) is in_ipv6:
        return remote, in_ipv6
    is_known = (settings.advertised_ip if in_ipv6 else settings.advertised_ip6) is not None
    return (remote, not in_ipv6) if is_known else (None, in_ipv6)


def of_family(local_ip: str, leg: MediaLeg, media: Media) -> MediaLeg:
    """The leg, or another in its place if we go by the other family of addresses than was thought.

    Raises:
        EngineError: If there is none; the leg is closed then.
    """
    if leg.is_ipv6 is is_v6(local_ip):
        return leg
    leg.close()
    return media.reserve(in_ipv6=is_v6(local_ip))


def media_ip(leg: MediaLeg, local_ip: str, settings: CallSettings) -> str:
    """Our address in a call's descriptions.

    Args:
        leg: Its media.
        local_ip: Our address as seen by whom we signal with.
        settings: What addresses we were told.

    Raises:
        NegotiationError: If the media goes by the other family of addresses, and ours there is not known.
    """
    in_ipv6 = leg.is_ipv6
    told = settings.advertised_ip6 if in_ipv6 else settings.advertised_ip
    if told is None and is_v6(local_ip) is not in_ipv6:
        raise NegotiationError(f"media by {'IPv6' if in_ipv6 else 'IPv4'} from {local_ip}")
    return told or local_ip


def has_own_way(sdp: bytes) -> bool:
    """Whether an offer may need a port of its own: on a shared one, only addresses tell calls apart."""
    return b"a=ice-ufrag:" in sdp or b"a=fingerprint:" in sdp


def security_of(
    settings: CallSettings, ids: IdSource, certificate: Certificate | None, *, is_browser: bool
) -> MediaSecurity:
    """How a call may be secured; browsers take nothing but a handshake."""
    policy = "required" if is_browser else settings.srtp
    by_sdes = "sdes" in settings.srtp_keys and policy != "off" and not is_browser
    return MediaSecurity(
        policy,
        crypto=MediaCrypto(policy, ids) if by_sdes else None,
        dtls=DtlsParty(certificate.fingerprint, ids) if certificate is not None else None,
        first=settings.srtp_keys[0],
    )


def ice_of(settings: CallSettings, ids: IdSource, *, is_browser: bool) -> IceParty:
    """How a call may have ICE; browsers do not do without."""
    return IceParty("always" if is_browser else settings.ice, ids)

"""One call's media before and while it is served: its leg, and what was negotiated for it."""

from dataclasses import dataclass
from typing import TypedDict

from bridge.call.session import Session
from bridge.engine.leg import MediaLeg
from bridge.errors import LocalProtocolError
from bridge.rtp.srtp import SrtpKeys
from bridge.sip.offer import Negotiated, Negotiator

__all__ = ["Line", "Terms"]


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


@dataclass(frozen=True, slots=True)
class Line:
    """One call's media before it is served."""

    leg: MediaLeg
    negotiator: Negotiator
    latch_ip: str | None

    @property
    def agreed(self) -> Negotiated:
        """What the descriptions so far come to."""
        if self.negotiator.negotiated is None:
            raise LocalProtocolError("media opened before anything was negotiated")
        return self.negotiator.negotiated

    def terms(self, session: Session) -> "Terms":
        """What the media process is told after each offer and answer."""
        agreed = self.agreed
        session.hold(agreed.held or not agreed.receiving)
        return Terms(
            codec=agreed.codec,
            payload_type=agreed.payload_type,
            dtmf_payload_type=agreed.dtmf_payload_type,
            dtmf_offered=agreed.dtmf_offered,
            dtmf_events=agreed.dtmf_events,
            remote=agreed.remote,
            latch_ip=self.latch_ip,
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
            srtp=agreed.srtp,
        )

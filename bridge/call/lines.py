"""Makes the line of each call: its descriptions, its security, and a row that fits what they come to."""

import asyncio
import logging
from collections.abc import Sequence

from bridge.aio.browser_call import BrowserCall
from bridge.aio.dtls import Certificate
from bridge.call.caller import Caller
from bridge.call.line import Line, Media, ice_of, media_ip, security_of
from bridge.call.settings import CallSettings
from bridge.engine.supervisor import MediaLeg
from bridge.errors import EngineError, NegotiationError
from bridge.ports import IdSource
from bridge.sip.codecs import CODECS
from bridge.sip.offer import Negotiator

__all__ = ["Lines"]

_log = logging.getLogger(__name__)


class Lines:
    """What is the same for the lines of all calls.

    Args:
        media: Where rows come from.
        settings: What every call obeys.
        dice: For ids and keys.
    """

    def __init__(self, media: Media, settings: CallSettings, dice: IdSource) -> None:
        self._media = media
        self._settings = settings
        self._dice = dice
        self._certificate: Certificate | None = None

    async def certify(self, *, is_browser: bool = False) -> None:
        """Have a certificate, where a call may come to need one; its libraries take a while to load.

        At the start it is worth calling, so that the first call need not wait; later it does nothing.
        """
        if self._has_handshakes(is_browser=is_browser) and self._certificate is None:
            made = await asyncio.to_thread(Certificate.make, self._dice.token(8))
            self._certificate = self._certificate or made

    def make(
        self,
        leg: MediaLeg,
        local_ip: str,
        *,
        latch_ip: str | None,
        codecs: Sequence[str] | None = None,
        is_browser: bool = False,
    ) -> Line:
        """Make one that nothing is negotiated for.

        Args:
            leg: Its row and port.
            local_ip: Our address as the peer sees it.
            latch_ip: The peer's address, if it is behind a NAT.
            codecs: What it may speak; None is as configured.
            is_browser: Whether a page is at the other end.
        """
        settings = self._settings
        certificate = self._certificate if self._has_handshakes(is_browser=is_browser) else None
        negotiator = Negotiator(
            ip=media_ip(leg, local_ip, settings),
            port=leg.local_port,
            session_id=self._dice.number(62),
            codecs=settings.codecs if codecs is None else codecs,
            security=security_of(settings, self._dice, certificate, is_browser=is_browser),
            ice=ice_of(settings, self._dice, is_browser=is_browser),
            comfort_noise=settings.comfort_noise,
            source=f"{leg.ssrc} cname:{leg.cname}",
        )
        return Line(leg, negotiator, latch_ip, certificate)

    def agree(self, incoming: Caller, leg: MediaLeg, *, latch_ip: str | None) -> tuple[Line, bytes]:
        """Answer the caller's offer, with a narrow codec where no row is free for a wide one.

        Raises:
            EngineError: If there is no row for what could be agreed on.
            NegotiationError: If nothing can.
            RemoteProtocolError: If the offer is no description.
        """
        is_browser = isinstance(incoming, BrowserCall)
        line = self.make(leg, incoming.local_ip, latch_ip=latch_ip, is_browser=is_browser)
        sdp = line.negotiator.answer(incoming.sdp)
        try:
            self._media.refit(leg, line.agreed.rate_hz)
        except EngineError as error:
            _log.warning("a call goes on with a narrow codec, if it can: %s", error)
            narrow = [name for name in self._settings.codecs if CODECS[name].rate_hz == leg.rate_hz]
            line = self.make(leg, incoming.local_ip, latch_ip=latch_ip, codecs=narrow, is_browser=is_browser)
            try:
                sdp = line.negotiator.answer(incoming.sdp)
            except NegotiationError:
                raise error from None
        return line, sdp

    def _has_handshakes(self, *, is_browser: bool) -> bool:
        return is_browser or (self._settings.srtp != "off" and "dtls" in self._settings.srtp_keys)

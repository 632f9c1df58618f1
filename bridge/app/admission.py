"""Whom calls may be sent to while they are up: transfers and redirects ask here, like every call of ours."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from bridge.aio.sip import SipEndpoint
from bridge.app.dial import admit, admit_number, is_number
from bridge.app.settings import SipSection
from bridge.app.trunking import TrunkOffice
from bridge.call.outside import Way
from bridge.errors import ConfigError, RemoteProtocolError
from bridge.sip.flow import Address
from bridge.sip.grammar import Uri
from bridge.sip.locating import Wanted
from bridge.sip.trunks import Dialled, Trunk

__all__ = ["Admission"]


class Admission:
    """The dial plan of a running bridge.

    Args:
        sip: `dial_allow`, and whether peers may send us on.
        office: The trunks, and which numbers each may carry.
        endpoint: Where calls go out.
        trunks: A number at the domain or the server of one of them is for the dial plan, too.
    """

    def __init__(
        self, sip: SipSection, office: TrunkOffice, endpoint: SipEndpoint, *, trunks: Iterable[Trunk]
    ) -> None:
        self.follows_referrals: bool = sip.refer == "follow"
        self.max_redirects: int = sip.max_redirects
        self._sip = sip
        self._office = office
        self._endpoint = endpoint
        self._trunks = tuple(trunks)

    async def find(self, target: str, *, trunk: str = "") -> Dialled | tuple[Address, ...]:
        """Where a number or address leads that may be called: to a trunk, or to addresses.

        Args:
            target: Whom to call.
            trunk: The only trunk that may carry it; empty for any, or none.

        Raises:
            ConfigError: If it may not be called, or is none.
            SetupError: If it leads nowhere.
        """
        if trunk:
            return admit_number(target, self._office.book, trunk=trunk)
        if (dialled := self._dialled(target)) is not None:
            return dialled
        return await admit(target, self._sip, self._endpoint.locate)

    async def address_of(self, target: str) -> str:
        """The SIP URI of a number or address that may be called; see `bridge.call.outside.Outside`."""
        found = await self.find(target)
        return found.uri if isinstance(found, Dialled) else target

    @asynccontextmanager
    async def way(self, target: str) -> AsyncIterator[Way]:
        """Hold a way to it, a trunk's line included; see `bridge.call.outside.Outside`."""
        found = await self.find(target)
        if not isinstance(found, Dialled):
            yield Way(self._endpoint, target, found)
            return
        async with self._office.way(self._endpoint, found) as way:
            yield way

    def _dialled(self, target: str) -> Dialled | None:
        if is_number(target):
            return admit_number(target, self._office.book)
        try:
            uri = Uri.parse(target)
        except RemoteProtocolError:
            return None  # `admit` says what is wrong with it
        host, port = uri.host.lower(), uri.destination[1] if uri.host else 0
        is_theirs = any(
            host == each.domain.lower() or (host, port) == Wanted(*each.server, each.transport).place
            for each in self._trunks
        )
        if not (is_theirs and is_number(uri.user)):
            return None
        if uri.scheme == "sips":
            # TLS is promised up to whoever answers, and a trunk promises none (RFC 3261 §26.2.2).
            raise ConfigError(f"{target} may not be called: trunks are called by sip, not by sips")
        return admit_number(uri.user, self._office.book)

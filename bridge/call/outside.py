"""Whom a call may be sent to, as the exchange asks: numbers and addresses become ways, or are refused."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from bridge.aio.sip import ANONYMOUS, Identity, SipEndpoint
from bridge.errors import ConfigError

__all__ = ["CLOSED", "Outside", "Way"]


@dataclass(frozen=True, slots=True)
class Way:
    """How somebody is reached."""

    endpoint: SipEndpoint
    uri: str
    targets: tuple[tuple[str, int], ...] = ()
    """Where the INVITE goes, and where next if it is not served; empty is where `uri` leads."""
    identity: Identity = ANONYMOUS


class Outside(Protocol):
    """Who knows the dial plan; `bridge.app.admission.Admission` in life."""

    follows_referrals: bool
    """Whether peers may have us call somebody."""
    max_redirects: int
    """How many further addresses are tried for one call of ours that is sent on."""

    async def address_of(self, target: str) -> str:
        """The SIP URI of a number or address that may be called.

        Raises:
            ConfigError: If it may not, or is none.
            SetupError: If it leads nowhere.
        """
        ...

    def way(self, target: str) -> AbstractAsyncContextManager[Way]:
        """Hold a way to a number or address for as long as the call lasts.

        Raises:
            CallRefused: If the trunk carries too many calls.
            ConfigError: If it may not be called, or is none.
            SetupError: If it leads nowhere.
        """
        ...


class _Closed:
    """Nobody may be called."""

    follows_referrals = False
    max_redirects = 0

    async def address_of(self, target: str) -> str:
        raise ConfigError(f"{target} may not be called: this bridge has no dial plan")

    @asynccontextmanager
    async def way(self, target: str) -> AsyncIterator[Way]:
        raise ConfigError(f"{target} may not be called: this bridge has no dial plan")
        yield  # makes it a generator


CLOSED: Outside = _Closed()

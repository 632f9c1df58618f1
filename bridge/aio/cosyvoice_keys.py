"""The key that connections are opened with: a permanent one, or what a provider gives anew."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

from bridge.aio.cosyvoice_connection import Address, DialError
from bridge.cosyvoice.failures import REFUSED, TIMEOUT
from bridge.cosyvoice.task import Failed
from bridge.errors import SynthesisError

__all__ = ["Forgetful", "KeyProvider", "Keys"]

KeyProvider = Callable[[], Awaitable[str]]
"""Gives a key that is good now; it may well give the same one many times."""

_UNAUTHORISED = (401, 403)


@runtime_checkable
class Forgetful(Protocol):
    """A provider that remembers what it gave."""

    def forget(self, key: str) -> None:
        """Do not give `key` again: the service refused it."""
        ...


class Keys:
    """Where the pool has its keys from.

    Args:
        source: The key itself, empty for a service that asks for none, or a provider.
    """

    def __init__(self, source: str | KeyProvider) -> None:
        self._source = source

    async def address(self, of: Address) -> Address:
        """The same address, with the key to be shown there.

        Raises:
            DialError: If the provider fails.
        """
        if isinstance(self._source, str):
            return replace(of, api_key=self._source)
        try:
            async with asyncio.timeout(of.open_timeout_s):
                return replace(of, api_key=await self._source())
        except TimeoutError:
            message = f"what is to give the key gave none within {of.open_timeout_s:g} s"
            raise DialError(Failed(TIMEOUT, message, retryable=True, stage="handshake")) from None
        except SynthesisError as error:
            failure = Failed(
                error.code, error.message, error.retryable, error.status, error.request_id, error.stage
            )
            raise DialError(failure) from None
        except Exception as error:
            message = f"no temporary token: {type(error).__name__}: {error}"
            raise DialError(Failed(REFUSED, message, retryable=True)) from error

    async def after(self, refused: Address, error: DialError) -> Address:
        """The same address with another key, where a temporary one was refused.

        Raises:
            DialError: `error` itself, if it is no matter of a key or there is no other.
        """
        if isinstance(self._source, str) or error.failure.status not in _UNAUTHORISED:
            raise error
        if isinstance(self._source, Forgetful):
            self._source.forget(refused.api_key)
        address = await self.address(refused)
        if address.api_key == refused.api_key:
            raise error
        return address

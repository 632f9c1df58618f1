"""Temporary tokens: what a permanent key is exchanged for, so that it need not travel further."""

import asyncio
import json

import aiohttp

from bridge.clock import SystemClock
from bridge.cosyvoice.endpoints import http_endpoint
from bridge.cosyvoice.failures import CLOSED, TIMEOUT, refused, to_error
from bridge.cosyvoice.task import Failed
from bridge.ports import Clock

__all__ = ["TemporaryTokens"]

_PATH = "/api/v1/tokens"
_LONGEST_S = 1800
_OK = 200
_BODY_BYTES = 65_536
_S = 1_000_000_000

# A token is checked at the handshake only: it has to live for as long as a dial takes, and for clocks.
_MARGIN_S = 10
_MARGIN_SHARE = 0.2


class TemporaryTokens:
    """A key provider: asks the service for a token, and for a new one before the last expires.

    Args:
        api_key: The permanent key.
        http_url: Scheme and host of the service, as `bridge.cosyvoice.endpoints.http_endpoint` gives it.
        expire_in_seconds: How long each token lives: 1 to 1800.
        timeout_s: Longest wait for an answer.
        clock: For the expiry.

    Raises:
        ValueError: If `expire_in_seconds` is out of its range.
    """

    def __init__(
        self,
        api_key: str,
        http_url: str = "",
        *,
        expire_in_seconds: int = 60,
        timeout_s: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        if not 1 <= expire_in_seconds <= _LONGEST_S:
            raise ValueError(f"expire_in_seconds must be 1 to {_LONGEST_S}, not {expire_in_seconds}")
        self._api_key = api_key
        self._url = f"{(http_url or http_endpoint()).rstrip('/')}{_PATH}"
        self._lives_s = expire_in_seconds
        self._timeout_s = timeout_s
        self._clock = clock or SystemClock()
        self._token = ""
        self._good_until_ns = 0
        self._asking = asyncio.Lock()

    async def __call__(self) -> str:
        """Give a token that is good for some seconds at least.

        Raises:
            SynthesisError: If the service gives none; says whether asking again can help.
        """
        async with self._asking:
            if not self._token or self._clock.now_ns() >= self._good_until_ns:
                asked_ns = self._clock.now_ns()
                self._token = await self._ask()
                good_s = self._lives_s - min(_MARGIN_S, self._lives_s * _MARGIN_SHARE)
                self._good_until_ns = asked_ns + round(good_s * _S)
            return self._token

    def forget(self, key: str) -> None:
        """Give `key` to nobody any more."""
        if key == self._token:
            self._token = ""

    async def _ask(self) -> str:
        try:
            status, body = await self._post()
        except TimeoutError:
            message = f"{self._url} did not answer within {self._timeout_s:g} s"
            raise to_error(Failed(TIMEOUT, message, retryable=True, stage="handshake")) from None
        except (aiohttp.ClientError, OSError) as error:
            message = f"{self._url} cannot be reached: {str(error) or type(error).__name__}"
            raise to_error(Failed(CLOSED, message, retryable=True)) from None
        if status != _OK:
            raise to_error(refused(self._url, status, body, key=self._api_key))
        try:
            told = json.loads(body)
        except (ValueError, RecursionError):
            told = None
        token = told.get("token") if isinstance(told, dict) else None
        if not isinstance(token, str) or not token:
            message = f"{self._url} answered without a token"
            raise to_error(Failed("InternalError", message, retryable=True, status=status))
        return token

    async def _post(self) -> tuple[int, bytes]:
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=self._url.startswith("https:")) as session,
            session.post(
                self._url,
                params={"expire_in_seconds": str(self._lives_s)},
                headers={"Authorization": f"Bearer {self._api_key}"},
                # The key is for this host and no other.
                allow_redirects=False,
            ) as answer,
        ):
            body = b""
            while len(body) < _BODY_BYTES and (piece := await answer.content.read(_BODY_BYTES - len(body))):
                body += piece
            return answer.status, body

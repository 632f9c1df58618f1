"""Opening a WebSocket: through the proxy the environment names, and with a reason when it is refused."""

import json
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from bridge.tts_v2.errors import TASK_ERROR, StartFailed

__all__ = ["check_response", "proxy_for"]

_REASON_BYTES = 16384
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PROXIES = {"ws": "http", "wss": "https"}


async def check_response(response: aiohttp.ClientResponse) -> None:
    """Let a switch to WebSocket pass.

    Raises:
        StartFailed: For every other answer, with its HTTP status and the service's code and message.
    """
    status = response.status
    if status == 101:
        return
    try:
        said = await response.content.read(_REASON_BYTES)
    finally:
        response.close()
    code, message, request_id = _reason(said)
    if message is None:
        message = f"the service answered {status} {response.reason or ''}".rstrip()
    # A success that is no switch is a failure all the same.
    http_code = status if status >= 300 else TASK_ERROR
    raise StartFailed(request_id=request_id, message=message, name=code or "Refused", http_code=http_code)


def _reason(said: bytes) -> tuple[str | None, str | None, str | None]:
    try:
        body = json.loads(said)
    except (ValueError, RecursionError):
        return None, None, None
    given = [body.get(key) for key in ("code", "message", "request_id")] if isinstance(body, dict) else []
    code, message, request_id = [value if isinstance(value, str) else None for value in given] or [None] * 3
    return code, message, request_id


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for `url`, in the variables that the SDK's transport reads."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = getproxies().get(_PROXIES[parts.scheme])
    if not proxy or host in _LOOPBACK or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"

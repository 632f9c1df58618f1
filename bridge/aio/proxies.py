"""Proxies on the way to a WebSocket: which one the environment names, and the tunnel through it."""

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.client_proto import ResponseHandler

if TYPE_CHECKING:
    from aiohttp.tracing import Trace

__all__ = ["Connector", "proxy_for"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PROXIES = {"ws": "http", "wss": "https"}
_PORTS = {"http": 80, "https": 443, "ws": 80}


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for `url`, in the variables that the SDK's transport reads."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = getproxies().get(_PROXIES[parts.scheme])
    if not proxy or host in _LOOPBACK or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


class Connector(aiohttp.TCPConnector):
    """Connects; to a ``ws`` address through a tunnel, where the environment names a proxy.

    aiohttp makes one for ``wss`` only, and few proxies take what it asks for ``ws``. What is overridden is
    documented as what a connector of one's own has to give.
    """

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: "list[Trace]",
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  aiohttp's own
    ) -> ResponseHandler:
        url = str(req.url)
        proxy = proxy_for(url) if req.url.scheme == "ws" else None
        if proxy is None:
            return await super()._create_connection(req, traces, timeout)
        transport = await _tunnel(urlsplit(proxy), urlsplit(url))
        protocol = ResponseHandler(asyncio.get_running_loop())
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        return protocol


async def _tunnel(proxy: SplitResult, target: SplitResult) -> asyncio.Transport:
    if proxy.scheme not in ("http", "https"):
        raise OSError(f"a proxy must be http:// or https://, not {proxy.scheme}://")
    host, port = proxy.hostname or "", proxy.port or _PORTS[proxy.scheme]
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().create_connection(
        lambda: asyncio.StreamReaderProtocol(reader), host, port, ssl=proxy.scheme == "https" or None
    )
    try:
        transport.write(_request(proxy, target))
        answer = await reader.readuntil(b"\r\n\r\n")
        if answer.split(None, 2)[1:2] != [b"200"]:
            raise OSError(f"the proxy {host}:{port} answered {_first_line(answer)!r}")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        transport.abort()
        raise OSError(f"the proxy {host}:{port} gave no answer of HTTP") from None
    except BaseException:
        transport.abort()
        raise
    return transport


def _request(proxy: SplitResult, target: SplitResult) -> bytes:
    host = target.hostname or ""
    name = f"[{host}]" if ":" in host else host
    place = f"{name}:{target.port or _PORTS[target.scheme]}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if proxy.username is not None:
        secret = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {b64encode(secret.encode()).decode()}")
    return "\r\n".join([*lines, "", ""]).encode()


def _first_line(answer: bytes) -> str:
    return answer.split(b"\r\n")[0][:80].decode("latin-1")

"""The HTTP edge: who may ask, how errors look, clean start and stop. What is asked is the caller's matter.

Every path but /healthz needs the token. `Host` must be a name of this server, so that no foreign web page can
rebind its own name to our address; `Origin`, where a browser sends it, must be our own.
"""

import ipaddress
import json
import logging
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from bridge.aio.access import Keys
from bridge.aio.ports_taken import port_taken
from bridge.aio.silent_clients import PATIENCE_S, SilentClients
from bridge.hosts import is_v6, spot
from bridge.ports import IdSource

__all__ = [
    "OPEN_PATH",
    "PROBLEM",
    "HttpServer",
    "HttpSettings",
    "json_answer",
    "json_error",
    "listening",
    "make_app",
    "presented",
]

OPEN_PATH = "/healthz"
PROBLEM = "application/problem+json"
"""How errors look (RFC 9457)."""

_LARGEST_BODY_BYTES = 64 * 1024
_LOOKING = ("GET", "HEAD", "OPTIONS")
_SHUTDOWN_S = 2.0
_KEEPALIVE_S = 75.0
"""Of a connection that has asked once; proxies keep theirs for a minute. aiohttp's own is an hour."""
_BACKLOG = 128
_HEADERS = {
    "Cache-Control": "no-store",
    # The token travels in the page's address: it must not leave by a link.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class HttpSettings:
    """Where the server listens and whom it serves."""

    listen: tuple[str, int] = ("127.0.0.1", 8080)
    """Port 0 takes any free one."""
    token: str = ""
    """Empty: a new one from the dice."""
    read_token: str = ""
    """What opens only what is read; empty is none."""
    read_opens: tuple[str, ...] = ()
    """What it opens besides: ``recordings``, ``transcripts``."""
    hosts: tuple[str, ...] = ()
    """Names this server is reached by, besides its addresses and localhost; lower case, no port."""
    tls: ssl.SSLContext | None = None
    """Certificate and key for https; None speaks http."""
    patience_s: float = PATIENCE_S
    """How long a connection may ask nothing."""


def _is_our_fault(record: logging.LogRecord) -> bool:
    """Drop the line about a request that is no HTTP: the sender's fault, and it quotes what was sent."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_protocol_log = logging.getLogger(f"{__name__}.protocol")
_protocol_log.addFilter(_is_our_fault)


class HttpServer:
    """A running server; get one from `start`, end it with `close`."""

    def __init__(
        self, runner: web.AppRunner, listen: tuple[str, int], token: str, *, scheme: str = "http"
    ) -> None:
        self._runner = runner
        self._scheme = scheme
        self.listen: tuple[str, int] = listen
        """Where it really listens, the port chosen by the kernel included."""
        self.token: str = token

    @classmethod
    async def start(
        cls,
        settings: HttpSettings,
        routes: Iterable[web.AbstractRouteDef],
        *,
        dice: IdSource,
        own_doors: tuple[str, ...] = (),
    ) -> Self:
        """Listen and serve.

        Args:
            settings: Where, and whom.
            routes: What.
            dice: For a token, where none is set.
            own_doors: Paths that ask for tokens and origins themselves, and what lies below them.

        Raises:
            SetupError: If the address cannot be had; says who holds it.
        """
        token = settings.token or dice.token(16)
        keys = Keys(token, settings.read_token, settings.read_opens)
        app = make_app(routes, keys=keys, hosts=settings.hosts, own_doors=own_doors)
        runner, address = await listening(
            app, settings.listen, setting="http.listen", tls=settings.tls, patience_s=settings.patience_s
        )
        return cls(runner, address, token, scheme="http" if settings.tls is None else "https")

    @property
    def url(self) -> str:
        """The page's address for a person, token included: for the ready line, never for a log."""
        return self.url_at("::1" if is_v6(self.listen[0]) else "127.0.0.1")

    def url_at(self, host: str) -> str:
        """The same as seen from elsewhere: `host` is said where we listen on every address."""
        listen, port = self.listen
        place = spot(host if listen in ("0.0.0.0", "::") else listen, port)
        return f"{self._scheme}://{place}/?token={self.token}"

    async def close(self) -> None:
        """Stop listening, let running requests finish for a moment, close; safe twice."""
        await self._runner.cleanup()


async def listening(
    app: web.Application,
    listen: tuple[str, int],
    *,
    setting: str,
    tls: ssl.SSLContext | None = None,
    patience_s: float = PATIENCE_S,
) -> tuple[web.AppRunner, tuple[str, int]]:
    """Serve `app`; return what ends it (`AppRunner.cleanup`), and the address that it really has.

    Args:
        app: What is served.
        listen: Where; port 0 takes any free one.
        setting: Key that sets the address, for the error.
        tls: What https needs; None serves http.
        patience_s: How long a connection may ask nothing.

    Raises:
        SetupError: If the address cannot be had; says who holds it.
    """
    listener = _bound(listen, setting)
    silent = SilentClients(app, patience_s=patience_s)
    silent.runner = runner = web.AppRunner(
        app,
        access_log=None,  # it would hold the keys of every request
        logger=_protocol_log,
        handle_signals=False,
        keepalive_timeout=_KEEPALIVE_S,
        shutdown_timeout=_SHUTDOWN_S,
    )
    try:
        await runner.setup()
        await web.SockSite(runner, listener, ssl_context=tls, backlog=_BACKLOG).start()
    except BaseException:
        listener.close()
        await runner.cleanup()
        raise
    host, port = listener.getsockname()[:2]
    return runner, (host, port)


def make_app(
    routes: Iterable[web.AbstractRouteDef],
    *,
    keys: Keys,
    hosts: tuple[str, ...] = (),
    own_doors: tuple[str, ...] = (),
) -> web.Application:
    """Build the application without listening.

    Args:
        routes: What is served; /healthz among them stays open.
        keys: What `?token=` or `Authorization: Bearer` must carry.
        hosts: As in `HttpSettings`.
        own_doors: As in `HttpServer.start`.
    """
    guard = _guard(keys, frozenset(hosts), own_doors)
    app = web.Application(middlewares=[_errors_as_json, guard], client_max_size=_LARGEST_BODY_BYTES)
    app.add_routes(routes)
    app.on_response_prepare.append(_add_headers)
    return app


def json_answer(value: object, *, status: int = 200) -> web.Response:
    """Answer with one line of JSON."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
    return web.Response(text=text, status=status, content_type="application/json")


def json_error(
    status: int,
    message: str,
    headers: Mapping[str, str] | None = None,
    *,
    fix: str = "",
    **members: object,
) -> web.Response:
    """Answer with a problem in one line of JSON (RFC 9457).

    Args:
        status: Of HTTP.
        message: What is wrong, in a sentence without a full stop.
        headers: Further ones.
        fix: What whoever asked, or whoever runs the bridge, may do about it; names the setting, if it is one.
        members: Further members of the problem.
    """
    problem = {"title": HTTPStatus(status).phrase, "status": status, "detail": message}
    if fix:
        problem["fix"] = fix
    response = json_answer(problem | members, status=status)
    response.content_type = PROBLEM
    response.headers.update(headers or {})
    return response


def _bound(listen: tuple[str, int], setting: str) -> socket.socket:
    family = socket.AF_INET6 if is_v6(listen[0]) else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(listen)
        # Some kernels let two sockets bind with SO_REUSEADDR and refuse only here.
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise port_taken(listen, "tcp", setting=setting, cause=error) from None
    listener.setblocking(False)
    return listener


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        kept = {name: error.headers[name] for name in ("Allow", "WWW-Authenticate") if name in error.headers}
        return json_error(error.status, _sentence(error, request), kept)
    except Exception:
        log.exception("a request failed", extra={"path": request.path, "method": request.method})
        return json_error(500, "the server failed; its log says why")


def _sentence(error: web.HTTPException, request: web.Request) -> str:
    match error.status:
        case 404:
            return f"there is no {request.path}"
        case 405:
            return f"{request.method} is not allowed here; {error.headers.get('Allow', '')} is"
        case 413:
            return f"the body is larger than {_LARGEST_BODY_BYTES} bytes"
        case _:
            return error.text or error.reason


def _guard(keys: Keys, hosts: frozenset[str], own_doors: tuple[str, ...]) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == OPEN_PATH:
            return await handler(request)
        if not _is_ours(request.host, hosts):
            return json_error(
                403,
                "this host name is not served here; http.hosts can add it",
                fix="add the name to http.hosts",
            )
        if any(_is_at(request.path, door) for door in own_doors):
            return await handler(request)
        origin = request.headers.get("Origin")
        if origin is not None and not _is_same_site(origin, request.host, hosts):
            return json_error(
                403,
                "requests from pages of other origins are refused",
                fix="add the page's host to http.hosts",
            )
        return _refusal(keys, request) or await handler(request)

    return guard


def _is_at(path: str, door: str) -> bool:
    """Whether a path is a door's own or lies below it; below the root there is nothing of its own."""
    return path == door or (door != "/" and path.startswith(door + "/"))


def _refusal(keys: Keys, request: web.Request) -> web.Response | None:
    """Why its token does not let a request in; None if it does."""
    access = keys.note(request, presented(request))
    if access is None:
        return json_error(
            401,
            "a token is needed: ?token=… or Authorization: Bearer …",
            {"WWW-Authenticate": "Bearer"},
            fix="the ready line of the bridge prints it, unless http.token sets one",
        )
    if not access.order and request.method not in _LOOKING:
        return json_error(403, "this token only looks", fix="bring the bridge's own: http.token")
    return None


def presented(request: web.Request) -> str:
    """Return the token that a request brings; empty if it brings none."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return request.query.get("token", "")


def _host_name(host: str) -> str:
    """Strip the port, and the brackets of an IPv6 address."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_ours(host: str, hosts: frozenset[str]) -> bool:
    name = _host_name(host)
    if name == "localhost" or name in hosts:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    # Rebinding needs a name; whoever asks for an address asks for us.
    return True


def _is_same_site(origin: str, host: str, hosts: frozenset[str]) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https"):
        return False
    return parts.netloc.lower() == host.lower() or (parts.hostname or "") in hosts

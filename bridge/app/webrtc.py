"""Calls from browsers: an offer is posted, the answer comes back, and its address hangs up (RFC 9725, WHIP).

A page that holds the bridge's token may call any route; a visitor's page brings a join token, which opens one
call to one number. Pages of other origins are served only if `webrtc.origins` lists them.
"""

import asyncio
import hmac
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from bridge.aio.browser_call import BrowserCall
from bridge.aio.http import json_answer, json_error, presented
from bridge.aio.tasks import Tasks
from bridge.app.join_tokens import JoinRefused, JoinTokens
from bridge.errors import NegotiationError
from bridge.hosts import source_of
from bridge.ports import Clock, IdSource
from bridge.sip.guard import RateLimit

__all__ = [
    "CANDIDATES",
    "ENDS",
    "OFFERS",
    "PATH",
    "TOKENS",
    "BrowserDesk",
    "BrowserSettings",
    "IceServer",
    "holds",
]

PATH = "/api/webrtc"
OFFERS = (
    "calls", "refused", "malformed", "strangers", "foreign", "throttled", "over_limit", "slow", "given_up",
)  # fmt: skip
"""What becomes of offers; `given_up`: the page was gone before it was answered."""
CANDIDATES = ("candidates_taken", "candidates_refused")
"""What becomes of trickled candidates; refused are those of calls that there are not, and restarts of ICE."""
ENDS = ("ended_page", "ended_vanished", "ended_unconnected", "ended_bridge")
"""How calls end: the page says so, falls silent, never comes by ICE and DTLS, or we end it."""
TOKENS = ("tokens_issued", "tokens_redeemed", "tokens_refused")
"""What becomes of join tokens; refused are those that open nothing, guessed ones included."""

_SDP = "application/sdp"
_TRICKLE = "application/trickle-ice-sdpfrag"
_ANSWER_WITHIN_S = 10.0
_TO = re.compile(r"[A-Za-z0-9\-_.!~*'()&=+$,;?/%#]{1,64}")
_NAME = re.compile(r"[A-Za-z0-9._-]{0,64}")
_STATUS = {404: 404, 480: 503, 486: 503, 487: 410, 488: 422, 500: 500, 503: 503}
"""What a refusal of SIP is in HTTP."""
_ENDS = {
    "caller hung up": "ended_page",
    "peer closed its media": "ended_page",
    "no media": "ended_vanished",
    "no usable answer": "ended_unconnected",
}
"""What the end of a call says; the last is said of one that was never secured."""
_METHODS = "POST, PATCH, DELETE, OPTIONS"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server that pages are told to use."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = field(default="", repr=False)

    def link(self) -> str:
        """As a value of the ``Link`` header (RFC 9725 §4.6)."""
        parts = ['rel="ice-server"']
        if self.username:
            parts += [
                f'username="{self.username}"',
                f'credential="{self.credential}"',
                'credential-type="password"',
            ]
        return ", ".join(f"<{url}>; {'; '.join(parts)}" for url in self.urls)


@dataclass(frozen=True, slots=True)
class BrowserSettings:
    """Whom the desk serves, and how many."""

    to: str = "hello"
    """The number that a page calls if it names none."""
    origins: tuple[str, ...] = ()
    """Origins of other sites whose pages may call, such as ``https://shop.example``."""
    ice_servers: tuple[IceServer, ...] = ()
    max_calls: int = 100
    max_calls_per_client: int = 8
    offers_per_s: int = 5
    """Of one address; more are answered 429."""
    join_token_s: int = 60
    inactivity_s: float = 8.0
    """How long a page may send no sound."""


class BrowserDesk:
    """The routes under `PATH`, and the calls that came by them.

    Args:
        settings: Whom it serves.
        serve: Runs one call from its offer to its end.
        is_key: Whether a token is the bridge's own.
        only_looks: Whether it is the one that orders nothing.
        local_ip: Our address as a peer sees it.
        clock: For limits and tokens.
        dice: For names and secrets.
    """

    def __init__(
        self,
        settings: BrowserSettings,
        *,
        serve: Callable[[BrowserCall], Awaitable[None]],
        is_key: Callable[[str], bool],
        only_looks: Callable[[str], bool] = lambda _: False,
        local_ip: Callable[[str], str],
        clock: Clock,
        dice: IdSource,
    ) -> None:
        self.counters: Counter[str] = Counter()
        """What happened, by the names in `OFFERS`, `CANDIDATES`, `ENDS` and `TOKENS`."""
        self.is_draining: bool = False
        self._settings = settings
        self._serve = serve
        self._is_key = is_key
        self._only_looks = only_looks
        self._local_ip = local_ip
        self._clock = clock
        self._dice = dice
        self._tokens = JoinTokens(dice.token(32).encode(), ids=dice)
        self._rate = RateLimit(settings.offers_per_s)
        self._calls: dict[str, BrowserCall] = {}
        """By the secret in their address: their names are told to whoever may look."""
        self._clients: Counter[str] = Counter()
        self._tasks = Tasks("browser calls")

    def __len__(self) -> int:
        return len(self._calls)

    def routes(self) -> list[web.AbstractRouteDef]:
        """What `bridge.aio.http.HttpServer.start` is to serve, without a token of its own."""
        one = PATH + "/calls/{secret}/{id}"
        return [
            web.post(PATH, self._offered),
            web.options(PATH, self._preflight),
            web.post(PATH + "/tokens", self._token),
            web.patch(one, self._trickled),
            web.delete(one, self._left),
            web.options(one, self._preflight),
        ]

    async def close(self) -> None:
        """End every call, and wait for what serves it."""
        self.is_draining = True
        for call in list(self._calls.values()):
            call.leave("bridge stopped")
        await self._tasks.close()

    async def _preflight(self, request: web.Request) -> web.StreamResponse:
        """Answer what a browser asks beforehand (CORS), and name the servers to use to whoever may call.

        In the answer to an offer they come too late for the first round of checks.
        """
        response = web.Response(status=204)
        if self._is_key(presented(request)):
            self._name_servers(response)
        return self._to_page(request, response)

    async def _token(self, request: web.Request) -> web.StreamResponse:
        """A join token for a visitor's page: only whoever holds the bridge's own may ask for one."""
        token = presented(request)
        if not self._is_key(token):
            return _reader() if self._only_looks(token) else _unknown()
        to = request.query.get("to", self._settings.to)
        if _TO.fullmatch(to) is None:
            return json_error(400, "to must be the user part of a number, such as hello")
        lasts_s = self._settings.join_token_s
        self.counters["tokens_issued"] += 1
        token = self._tokens.issue(to, lasts_s=lasts_s, now_ns=self._clock.now_ns())
        return json_answer({"token": token, "to": to, "expires_in_s": lasts_s}, status=201)

    async def _offered(self, request: web.Request) -> web.StreamResponse:
        client = source_of(request.remote or "")
        if not self._rate.admits(client, now_ns=self._clock.now_ns()):
            self.counters["throttled"] += 1
            return self._to_page(request, json_error(429, "too many offers", {"Retry-After": "1"}))
        refusal = self._refusal(request, client)
        if refusal is None:
            refusal = await self._call(request, client)
        return self._to_page(request, refusal)

    def _refusal(self, request: web.Request, client: str) -> web.Response | None:
        """Why an offer is not even read."""
        if not self._is_welcome(request):
            self.counters["foreign"] += 1
            return json_error(403, "pages of this origin may not call; webrtc.origins can admit it")
        if request.content_type != _SDP:
            self.counters["malformed"] += 1
            return json_error(415, f"an offer is {_SDP}", {"Accept": _SDP})
        return self._full(client)

    def _full(self, client: str) -> web.Response | None:
        """Why there is no room; to be asked once more when an offer has arrived, for that may take long."""
        if (
            self.is_draining
            or len(self._calls) >= self._settings.max_calls
            or self._clients[client] >= self._settings.max_calls_per_client
        ):
            self.counters["over_limit"] += 1
            return json_error(503, "no call can be taken now", {"Retry-After": "10"})
        return None

    async def _call(self, request: web.Request, client: str) -> web.Response:
        to = self._number(request)
        if isinstance(to, web.Response):
            self.counters["strangers"] += 1
            return to
        offer = await request.read()
        if _TO.fullmatch(to) is None or not offer:
            self.counters["malformed"] += 1
            return json_error(400, "an offer is needed, and to names a number such as hello")
        voice, model = (request.query.get(name, "") for name in ("voice", "model"))
        if not all(_NAME.fullmatch(name) for name in (voice, model)):
            self.counters["malformed"] += 1
            return json_error(400, "voice and model are names of up to 64 letters, digits, dots, _ and -")
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        host = request.remote or ""
        source = (host, int(peer[1]) if peer else 0)
        if (refusal := self._full(client)) is not None:
            return refusal
        call = BrowserCall(
            self._dice.token(16),
            to_user=to,
            sdp=offer,
            source=source,
            local_ip=self._local_ip(host),
            inactivity_s=self._settings.inactivity_s,
            voice=voice,
            model=model,
        )
        secret = self._dice.token(16)
        self._enter(call, client, secret)
        return await self._answer(call, secret)

    def _number(self, request: web.Request) -> str | web.Response:
        """The number that a request may call, or why it may not."""
        to = request.query.get("to", self._settings.to)
        token = presented(request)
        if self._only_looks(token):
            return _reader()
        if self._is_key(token):
            return to
        if request.query.keys() & {"voice", "model"}:
            return json_error(403, "a join token leaves voice and model to the number that it opens")
        try:
            number = self._tokens.redeem(token, now_ns=self._clock.now_ns())
        except JoinRefused as error:
            self.counters["tokens_refused"] += 1
            return json_error(401, str(error), {"WWW-Authenticate": "Bearer"})
        self.counters["tokens_redeemed"] += 1
        return number

    def _enter(self, call: BrowserCall, client: str, secret: str) -> None:
        self._calls[secret] = call
        self._clients[client] += 1
        self._tasks.start(self._serving(call, client, secret), name=f"browser {call.call_id[:8]}")

    async def _serving(self, call: BrowserCall, client: str, secret: str) -> None:
        try:
            await self._serve(call)
        finally:
            call.reject(500)
            call.leave("failed")
            if not call.status:
                self.counters[_ENDS.get(call.ended.result(), "ended_bridge")] += 1
            del self._calls[secret]
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]

    async def _answer(self, call: BrowserCall, secret: str) -> web.Response:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                answer = await asyncio.shield(call.answered)
        except NegotiationError as error:
            self.counters["refused"] += 1
            headers = {"Retry-After": "10"} if call.status == 503 else None
            return json_error(_STATUS.get(call.status, 422), f"no call: {error}", headers)
        except TimeoutError:
            self.counters["slow"] += 1
            call.leave("no answer in time")
            return json_error(504, "no answer in time")
        except asyncio.CancelledError:
            self.counters["given_up"] += 1
            call.leave("caller hung up")
            raise
        self.counters["calls"] += 1
        response = web.Response(status=201, body=answer, content_type=_SDP)
        response.headers["Location"] = f"{PATH}/calls/{secret}/{call.call_id}"
        response.headers["ETag"] = f'"{call.call_id[:16]}"'
        self._name_servers(response)
        return response

    def _name_servers(self, response: web.Response) -> None:
        for server in self._settings.ice_servers:
            response.headers.add("Link", server.link())

    async def _trickled(self, request: web.Request) -> web.StreamResponse:
        """Take a candidate of the page: we learn where it is from its own checks (RFC 8445 §2.5)."""
        refusal = await self._untrickled(request)
        self.counters["candidates_taken" if refusal is None else "candidates_refused"] += 1
        return self._to_page(request, refusal or web.Response(status=204))

    async def _untrickled(self, request: web.Request) -> web.Response | None:
        """Why a candidate is not taken."""
        if self._found(request) is None:
            return _gone()
        if request.content_type != _TRICKLE:
            return json_error(415, f"a candidate is {_TRICKLE}")
        if b"a=ice-ufrag" in await request.read() and request.headers.get("If-Match") == "*":
            return json_error(422, "ICE is not restarted; call again")
        return None

    async def _left(self, request: web.Request) -> web.StreamResponse:
        call = self._found(request)
        if call is None:
            return self._to_page(request, _gone())
        call.leave()
        return self._to_page(request, web.Response(status=200))

    def _found(self, request: web.Request) -> BrowserCall | None:
        call = self._calls.get(request.match_info["secret"])
        return call if call is not None and call.call_id == request.match_info["id"] else None

    def _is_welcome(self, request: web.Request) -> bool:
        origin = request.headers.get("Origin")
        return origin is None or origin in self._settings.origins or _is_same(origin, request.host)

    def _to_page(self, request: web.Request, response: web.Response) -> web.Response:
        """Let a page of a listed origin read the answer (CORS)."""
        origin = request.headers.get("Origin")
        if origin is not None and origin in self._settings.origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Vary"] = "Origin"
            response.headers["Access-Control-Expose-Headers"] = "Location, Link, ETag, Retry-After"
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Methods"] = _METHODS
                response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, If-Match"
                response.headers["Access-Control-Max-Age"] = "600"
        return response


def _is_same(origin: str, host: str) -> bool:
    return origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())


def _unknown() -> web.Response:
    return json_error(
        401, "the bridge's token is needed: Authorization: Bearer …", {"WWW-Authenticate": "Bearer"}
    )


def _reader() -> web.Response:
    return json_error(403, "this token only looks", fix="bring the bridge's own, http.token, or a join token")


def _gone() -> web.Response:
    return json_error(404, "there is no such call")


def holds(token: str) -> Callable[[str], bool]:
    """Whether a presented token is this one, in constant time."""
    expected = token.encode()

    def is_key(presented: str) -> bool:
        return hmac.compare_digest(presented.encode("utf-8", "surrogateescape"), expected)

    return is_key

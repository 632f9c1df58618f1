"""What the HTTP server serves beside the API: the page, the metrics, the state of health."""

from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from bridge.aio.http import OPEN_PATH, json_answer, json_error, presented
from bridge.app.metrics import CONTENT_TYPE, Metrics

__all__ = ["CODE", "PAGE", "Health", "routes"]

PAGE = "/"
"""Looks at the token itself: to a person who brings none, it answers with something to read."""
CODE = "/web"
"""What the page is made of. It is the same for everybody and holds nothing of anybody: it needs no token."""

_WEB = Path(__file__).parent / "web"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

# Nothing is loaded from elsewhere, nothing runs that is not a file of ours, and it talks to nobody but us.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

Health = Callable[[], str]
"""Returns ``"ok"``, or in a word why no new call is taken: ``"draining"``."""


def _always_ok() -> str:
    return "ok"


def routes(
    metrics: Metrics, *, is_key: Callable[[str], bool], health: Health = _always_ok
) -> list[web.AbstractRouteDef]:
    """List what `bridge.aio.http.HttpServer.start` is to serve; `PAGE` and `CODE` are doors of their own.

    Args:
        metrics: What has been counted.
        is_key: Whether a token opens the page.
        health: Whether calls are taken.
    """
    files = {path.name: path.read_bytes() for path in _WEB.iterdir() if path.suffix in _TYPES}
    shell = (_WEB / "index.html").read_bytes()

    async def page(request: web.Request) -> web.StreamResponse:
        # The address loses its token once the page is there. After a reload the page brings it from its
        # tab's memory, so a stranger gets the same page, empty, and asked for a token.
        is_open = is_key(presented(request))
        if not is_open and "text/html" not in request.headers.get("Accept", ""):
            return json_error(
                401,
                "a token is needed: ?token=… or Authorization: Bearer …",
                {"WWW-Authenticate": "Bearer"},
                fix="the ready line of the bridge prints it, unless http.token sets one",
            )
        response = web.Response(body=shell, content_type="text/html", charset="utf-8")
        response.headers["Content-Security-Policy"] = _POLICY
        if not is_open:
            response.set_status(401)
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    async def code(request: web.Request) -> web.StreamResponse:
        body = files.get(request.match_info["name"])
        if body is None:
            raise web.HTTPNotFound
        kind = _TYPES[Path(request.match_info["name"]).suffix]
        return web.Response(body=body, content_type=kind, charset="utf-8")

    async def healthz(_request: web.Request) -> web.StreamResponse:
        state = health()
        return json_answer({"status": state}, status=200 if state == "ok" else 503)

    async def metrics_text(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=metrics.scrape(), headers={"Content-Type": CONTENT_TYPE})

    return [
        web.get(PAGE, page),
        web.get(CODE + "/{name}", code),
        web.get(OPEN_PATH, healthz),
        web.get("/metrics", metrics_text),
    ]

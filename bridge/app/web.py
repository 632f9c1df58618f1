"""What the HTTP server serves beside the API: the page, the metrics, the state of health."""

from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from bridge.aio.http import OPEN_PATH, json_answer
from bridge.app.metrics import CONTENT_TYPE, Metrics

__all__ = ["Health", "routes"]

_WEB = Path(__file__).parent / "web"

Health = Callable[[], str]
"""Returns ``"ok"``, or in a word why no new call is taken: ``"draining"``."""


def _always_ok() -> str:
    return "ok"


def routes(metrics: Metrics, *, health: Health = _always_ok) -> list[web.AbstractRouteDef]:
    """List what `bridge.aio.http.HttpServer.start` is to serve."""
    phone = (_WEB / "phone.js").read_bytes()
    page_body = (_WEB / "index.html").read_bytes().replace(b"/*phone.js*/", phone)

    async def page(_request: web.Request) -> web.StreamResponse:
        return web.Response(
            body=page_body,
            content_type="text/html",
            charset="utf-8",
            headers={"Content-Security-Policy": _PAGE_POLICY},
        )

    async def healthz(_request: web.Request) -> web.StreamResponse:
        state = health()
        return json_answer({"status": state}, status=200 if state == "ok" else 503)

    async def metrics_text(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=metrics.scrape(), headers={"Content-Type": CONTENT_TYPE})

    return [
        web.get("/", page),
        web.get(OPEN_PATH, healthz),
        web.get("/metrics", metrics_text),
    ]


# The page is one file: nothing is loaded from anywhere, and it talks to nobody but us.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

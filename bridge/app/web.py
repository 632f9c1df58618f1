"""What the HTTP server serves: the page, the calls, the metrics, the state of health."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from bridge.aio.http import OPEN_PATH, json_answer, json_error
from bridge.app.metrics import CONTENT_TYPE, Metrics
from bridge.call.path import describe

__all__ = ["CallBook", "Health", "routes"]

_PAGE = Path(__file__).parent / "web" / "index.html"

Health = Callable[[], str]
"""Returns ``"ok"``, or in a word why no new call is taken: ``"draining"``."""


class CallBook(Protocol):
    """The calls that are up, and the last of those that are over."""

    def calls(self) -> list[dict[str, Any]]:
        """One summary a call, the newest first: no text, no digits."""
        ...

    def call(self, id: str) -> dict[str, Any] | None:
        """Everything known of one call, its trace included; None if there is none."""
        ...


def _always_ok() -> str:
    return "ok"


def routes(book: CallBook, metrics: Metrics, *, health: Health = _always_ok) -> list[web.AbstractRouteDef]:
    """List what `bridge.aio.http.HttpServer.start` is to serve."""
    page_body = _PAGE.read_bytes()

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

    async def calls(_request: web.Request) -> web.StreamResponse:
        return json_answer({"calls": book.calls()})

    async def call(request: web.Request) -> web.StreamResponse:
        id = request.match_info["id"]
        found = book.call(id)
        return json_answer(found) if found is not None else json_error(404, f"there is no call {id}")

    async def path(request: web.Request) -> web.StreamResponse:
        id = request.match_info["id"]
        found = book.call(id)
        if found is None:
            return json_error(404, f"there is no call {id}")
        return web.Response(text=describe(found["media"]))

    return [
        web.get("/", page),
        web.get(OPEN_PATH, healthz),
        web.get("/metrics", metrics_text),
        web.get("/api/calls", calls),
        web.get("/api/calls/{id}", call),
        web.get("/api/calls/{id}/path", path),
    ]


# The page is one file: nothing is loaded from anywhere, and it talks to nobody but us.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

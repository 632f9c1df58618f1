"""What stands open over HTTP: the page, the control API, calls of browsers, metrics."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

from bridge.aio.access import Keys
from bridge.aio.http import HttpServer
from bridge.app.api.board import Board
from bridge.app.api.choices import choices_of
from bridge.app.api.desk import ControlApi
from bridge.app.api.desk_stream import DeskStream
from bridge.app.api.meter import ApiMeter
from bridge.app.api.stream import EventStream
from bridge.app.api.switchboard import Switchboard
from bridge.app.api.totals import Totals
from bridge.app.assembly import api_settings, browser_ip, browser_settings, http_settings
from bridge.app.config import Config
from bridge.app.metrics import Metrics
from bridge.app.place import route_address
from bridge.app.web import CODE, PAGE
from bridge.app.web import routes as web_routes
from bridge.app.webrtc import PATH, BrowserDesk
from bridge.app.webrtc_document import WHIP
from bridge.app.webrtc_meter import BrowserMeter
from bridge.call.exchange import Exchange
from bridge.clock import SystemClock, unix_offset_ns
from bridge.dice import SystemDice
from bridge.hosts import is_v6

__all__ = ["open_doors"]


async def open_doors(
    config: Config,
    exchange: Exchange,
    switchboard: Switchboard,
    *,
    metrics: Metrics,
    totals: Totals,
    stack: AsyncExitStack,
    health: Callable[[], str],
) -> tuple[str, BrowserDesk]:
    """Serve until `stack` is closed.

    Returns:
        The page's address for a person, with the token unless the settings hold it; and where browsers call.

    Raises:
        SetupError: If the address cannot be had, or the certificate cannot be read.
    """
    settings = http_settings(config)
    settings = replace(settings, token=settings.token or SystemDice().token(16))
    keys = Keys(settings.token, settings.read_token, settings.read_opens)
    desk = BrowserDesk(
        browser_settings(config),
        serve=exchange.answer,
        is_key=keys.is_owner,
        only_looks=keys.only_looks,
        local_ip=lambda peer_ip: browser_ip(config, peer_ip),
        clock=SystemClock(),
        dice=SystemDice(),
    )
    BrowserMeter(metrics, desk)
    api, streams = _api(config, exchange, switchboard, metrics, totals)
    routes = [*web_routes(metrics, is_key=keys.opens, health=health), *api.routes()]
    routes += desk.routes() if config.webrtc.enabled else []
    http = await HttpServer.start(settings, routes, dice=SystemDice(), own_doors=(PATH, PAGE, CODE))
    stack.push_async_callback(http.close)
    stack.push_async_callback(desk.close)
    for stream in streams:
        stack.push_async_callback(stream.close)
    url = (
        http.url if config.http.tls_cert == "" else http.url_at(route_address(in_ipv6=is_v6(http.listen[0])))
    )
    if config.http.token is not None:  # whoever chose it knows it; a journal need not
        url = url.replace(http.token, "(your http.token)")
    return url, desk


def _api(
    config: Config,
    exchange: Exchange,
    switchboard: Switchboard,
    metrics: Metrics,
    totals: Totals,
) -> tuple[ControlApi, tuple[EventStream, DeskStream]]:
    settings, clock = api_settings(config), SystemClock()
    stream = EventStream(
        exchange.bus,
        exchange.ledger,
        offset_ns=unix_offset_ns,
        most_clients=settings.event_clients,
        backlog=settings.event_backlog,
    )
    desk = DeskStream(
        Board(exchange.ledger, totals.read),
        exchange.ledger,
        budget_ms=settings.budget_ms,
        clock=clock,
        offset_ns=unix_offset_ns,
        most_clients=settings.event_clients,
    )
    api = ControlApi(
        settings,
        exchange.ledger,
        switchboard,
        stream,
        desk,
        clock=clock,
        choices=choices_of(switchboard.routes, to=config.webrtc.to),
        also=WHIP if config.webrtc.enabled else (),
    )
    ApiMeter(metrics, api.door, stream)
    return api, (stream, desk)

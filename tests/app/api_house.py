"""The whole API over HTTP, on an exchange whose media is a row in memory, with a telephone to call."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bridge.aio.fetch import FetchTerms
from bridge.aio.http import HttpServer, HttpSettings
from bridge.aio.sip import SipEndpoint
from bridge.app.admission import Admission
from bridge.app.api.board import Board
from bridge.app.api.choices import choices_of
from bridge.app.api.desk import ApiSettings, ControlApi
from bridge.app.api.desk_stream import DeskStream
from bridge.app.api.operation import Operation
from bridge.app.api.stream import EventStream
from bridge.app.api.switchboard import Switchboard
from bridge.app.api.totals import Figures, Totals
from bridge.app.assembly import route_table, trunks
from bridge.app.config import Config
from bridge.app.trunking import TrunkOffice
from bridge.call.agent import Call
from bridge.call.archive import Archive
from bridge.call.exchange import Exchange
from bridge.clock import SystemClock, unix_offset_ns
from bridge.dice import SystemDice
from bridge.engine.shared import EngineGauges
from bridge.ports import Recognizer
from tests.aio.sip_phones import Phone, endpoint, phone
from tests.call.fakes import ScriptedVoice
from tests.call.test_exchange import Media, exchange, heard, wait
from tests.fakes import ManualClock, SeededIds
from tests.sip.messages import OFFER, parsed_request, parsed_response, raw, reply

__all__ = ["READER", "House", "StillEngine", "StillVoice", "house"]

READER = "may-only-look"


async def _nothing(url: str, terms: FetchTerms) -> bytes:
    raise AssertionError(f"nobody was to fetch {url}")


class StillEngine:
    """Media processes that have done nothing."""

    def __init__(self) -> None:
        self.readings = [EngineGauges.zero()]
        self.pids = [1]
        self.restarts = self.takeovers = 0
        self.has_standby = True
        self.calls = 480


class StillVoice:
    """Connections to a voice that nobody uses."""

    def __init__(self) -> None:
        self.idle, self.busy = 2, 0
        self.counters = Counter({"warm_starts": 3})


@dataclass
class House:
    """Everything, and how to ask for it."""

    api: ControlApi
    exchange: Exchange
    media: Media
    sip: SipEndpoint
    stream: EventStream
    desk: DeskStream
    switchboard: Switchboard
    office: TrunkOffice
    phone: Phone
    clock: ManualClock
    client: aiohttp.ClientSession
    server: HttpServer

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        **parts: Any,  # noqa: ANN401
    ) -> tuple[int, Any]:
        """Status and body of an answer; a body that is bytes goes out as it is."""
        parts |= {"data": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        async with self.client.request(method, path, **parts) as answer:
            text = await answer.text()
            is_json = "json" in answer.headers.get("Content-Type", "")
            return answer.status, await answer.json() if is_json else text

    async def called(self) -> str:
        """Let the telephone call us; return our id of the call that stands."""
        self.phone.peer = self.sip.listen
        self.phone.say(self.phone.invite())
        tag = parsed_response(await heard(self.phone, b"SIP/2.0 200")).to.tag
        self.phone.say(raw("ACK", branch="z9hG4bKa", to_tag=tag))
        (call,) = [call for call in self.exchange.calls() if call["direction"] == "inbound"]
        return str(call["id"])

    @property
    def number(self) -> str:
        """Where the telephone is called."""
        return f"sip:100@127.0.0.1:{self.phone.address[1]}"

    async def picked_up(self) -> bytes:
        """Let the telephone answer our call; return the INVITE."""
        self.phone.peer = self.sip.listen
        invite = parsed_request(await heard(self.phone, b"INVITE "))
        host, port = self.phone.address
        self.phone.say(bytes(reply(invite, 200, contact=f"<sip:c@{host}:{port}>", body=OFFER)))
        await heard(self.phone, b"ACK ")
        return bytes(invite)

    async def hung_up(self) -> None:
        """Let the telephone take our BYE."""
        bye = parsed_request(await heard(self.phone, b"BYE "))
        self.phone.say(bytes(reply(bye, 200, to_tag=bye.to.tag)))


def streams(
    served: Exchange, given: ApiSettings, figures: Figures, clock: ManualClock, offset_ns: Callable[[], int]
) -> tuple[EventStream, DeskStream]:
    """The API's two WebSockets."""
    stream = EventStream(
        served.bus,
        served.ledger,
        offset_ns=offset_ns,
        most_clients=given.event_clients,
        backlog=given.event_backlog,
    )
    totals = Totals(served.ledger, figures, StillEngine(), StillVoice(), clock=clock)
    desk = DeskStream(
        Board(served.ledger, totals.read),
        served.ledger,
        budget_ms=given.budget_ms,
        clock=clock,
        offset_ns=lambda: 0,
        most_clients=given.event_clients,
        beat_s=0.01,
    )
    return stream, desk


def _client(server: HttpServer) -> aiohttp.ClientSession:
    """Somebody who has the token."""
    headers = {"Authorization": f"Bearer {server.token}"}
    return aiohttp.ClientSession(f"http://127.0.0.1:{server.listen[1]}", headers=headers)


@asynccontextmanager
async def house(
    config: Config | None = None,
    *,
    agent: Callable[[Call], Any] = wait,
    prompts: Path = Path("prompts"),
    fetch_file: Callable[[str, FetchTerms], Awaitable[bytes]] = _nothing,
    voice: ScriptedVoice | None = None,
    ears: Recognizer | None = None,
    keeps_text: bool = False,
    read_opens: tuple[str, ...] = (),
    also: Sequence[Operation] = (),
    archive: Archive | None = None,
    offset_ns: Callable[[], int] = unix_offset_ns,
    **settings: Any,  # noqa: ANN401
) -> AsyncIterator[House]:
    """A house that serves."""
    config = (config or Config()).resolved()
    media, clock = Media(), ManualClock(start_ns=10**9)
    figures = Figures()
    served = exchange(
        media,
        agent,
        prompts=prompts,
        voice=voice,
        ears=ears,
        keeps_text=keeps_text,
        observer=figures,
        archive=archive,
    )
    office = TrunkOffice(trunks(config), (), served.answer, clock=SystemClock(), dice=SystemDice())
    async with endpoint(office.answer) as sip, phone() as telephone:
        admission = Admission(config.sip, office, sip, trunks=trunks(config))
        served.outside = admission
        routes = tuple(route_table(config, None))
        switchboard = Switchboard(
            config, exchange=served, endpoint=sip, office=office, admission=admission, routes=routes
        )
        given = ApiSettings(prompts=prompts, **settings)
        stream, desk = streams(served, given, figures, clock, offset_ns)
        api = ControlApi(
            given,
            served.ledger,
            switchboard,
            stream,
            desk,
            clock=clock,
            choices=choices_of(routes, to=config.webrtc.to),
            fetch_file=fetch_file,
            also=also,
        )
        http = HttpSettings(listen=("127.0.0.1", 0), read_token=READER, read_opens=read_opens)
        server = await HttpServer.start(http, api.routes(), dice=SeededIds())
        try:
            async with _client(server) as client:
                line = (media, sip, stream, desk, switchboard, office, telephone)
                yield House(api, served, *line, clock, client, server)
        finally:
            for part in (stream, desk, server, switchboard, office):
                await part.close()
            served.end_all("test over")

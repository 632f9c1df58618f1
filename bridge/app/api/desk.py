"""Everything that the API can be asked for, and what is done then."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from bridge.aio.fetch import FetchRefused, FetchTerms, fetch
from bridge.app.api.answers import CallList, CallSummary, Holding, Ordered, Stopped
from bridge.app.api.choices import Choices
from bridge.app.api.desk_stream import DeskStream
from bridge.app.api.document import document
from bridge.app.api.door import Door
from bridge.app.api.operation import Operation, Outcome
from bridge.app.api.orders import HangUp, Nothing, PlaceCall, Play, Press, Say, Stop, Transfer
from bridge.app.api.page import page
from bridge.app.api.problem import Problem
from bridge.app.api.records import Records
from bridge.app.api.stream import EventStream
from bridge.app.api.switchboard import Places
from bridge.app.dial import DialRefused
from bridge.call import prompts
from bridge.call.ledger import Ledger
from bridge.call.path import describe
from bridge.call.remote import TooMuchWaiting
from bridge.call.session import Session
from bridge.call.trace import CallTrace
from bridge.errors import ConfigError, NegotiationError, SetupError
from bridge.ports import Clock
from bridge.speech.budget import Budget

__all__ = ["ApiSettings", "ControlApi"]

_ONE = "/api/calls/{id}"
_REFUSED = (404, 409, 410)
_DECODERS = 2
"""Files decoded at a time; others wait."""
_FETCHES = 8
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """What the API admits."""

    orders_per_s: int = 20
    event_clients: int = 32
    event_backlog: int = 256
    play_hosts: tuple[str, ...] = ()
    """See `bridge.aio.fetch.FetchTerms.hosts`."""
    prompts: Path = Path("prompts")
    recordings: Path = Path("recordings")
    budget_ms: Mapping[str, float] = field(default_factory=lambda: asdict(Budget()))
    """What each stage of an interruption may take."""


class ControlApi:
    """Serves ``/api``.

    Args:
        settings: What is admitted.
        ledger: The calls.
        places: Who places new ones.
        stream: Who tells events.
        desk: Who tells how all calls stand.
        clock: For limits.
        choices: What a page may offer to choose from.
        fetch_file: Fetches what is to be played.
        also: What is served beside it: operations that the document is to describe as well.
    """

    def __init__(
        self,
        settings: ApiSettings,
        ledger: Ledger,
        places: Places,
        stream: EventStream,
        desk: DeskStream,
        *,
        clock: Clock,
        choices: Choices,
        fetch_file: Callable[[str, FetchTerms], Awaitable[bytes]] = fetch,
        also: Sequence[Operation] = (),
    ) -> None:
        self.door: Door = Door(clock=clock, orders_per_s=settings.orders_per_s)
        self._ledger = ledger
        self._records = Records(ledger, settings.recordings, settings.budget_ms)
        self._also = tuple(also)
        self._places = places
        self._stream = stream
        self._desk = desk
        self._choices = choices
        self._fetch = fetch_file
        self._terms = FetchTerms(hosts=settings.play_hosts)
        self._prompts = settings.prompts
        self._fetching = asyncio.Semaphore(_FETCHES)
        self._decoding = asyncio.Semaphore(_DECODERS)

    def routes(self) -> list[web.AbstractRouteDef]:
        """What `bridge.aio.http.HttpServer.start` is to serve."""
        return self.door.routes(self.operations())

    def operations(self) -> list[Operation]:
        """All of the API, in the order of the document."""
        return [
            *self._looking(),
            *self._records.operations(),
            *self._placing(),
            *self._speaking(),
            *self._handing_on(),
            *self._also,
            *self._about(),
        ]

    def _looking(self) -> list[Operation]:
        return [
            Operation("GET", "/api/calls", "List the calls", self._list, answer=CallList),
            Operation(
                "GET",
                f"{_ONE}/path",
                "Draw the way of a frame with the counts of a call",
                self._path,
                content_type="text/plain",
                problems=(404,),
            ),
            Operation(
                "GET",
                "/api/choices",
                "Tell who may answer, and with which voice",
                self._choose,
                answer=Choices,
            ),
            Operation(
                "GET",
                "/api/events",
                "Listen to events (WebSocket)",
                self._events,
                status=101,
                messages="Message",
                may_name=("call",),
                problems=(404, 410, 426, 503),
                text="Text messages, each a JSON object: first `hello`, then every event in the order of"
                " `seq`. `?call=` tells of one call alone. A client that reads too slowly is sent `dropped`"
                ' with a count, and closed. `{"type": "ping"}` is answered `{"type": "pong"}`.',
            ),
            Operation(
                "GET",
                "/api/desk",
                "Watch all calls (WebSocket)",
                self._watch,
                status=101,
                messages="DeskMessage",
                problems=(426, 503),
                text="First a `snapshot` of totals and calls, then a `change` at most four times a second."
                ' `{"type": "watch", "call": "ID"}` follows one call; null ends that.'
                ' `{"type": "ping"}` is answered `{"type": "pong"}`.',
            ),
        ]

    def _placing(self) -> list[Operation]:
        return [
            Operation(
                "POST",
                "/api/calls",
                "Place a call",
                self._place,
                body=PlaceCall,
                answer=CallSummary,
                status=201,
                problems=(403, 503),
                text="Answered at once, with the id; events and the call itself tell how it goes on. Only"
                " what `sip.dial_allow` and the dials of the trunks admit is called.",
                examples=(
                    {"to": "sip:100@127.0.0.1:5070", "greeting": "Good morning."},
                    {"to": "+493012345", "route": "reminder", "from": "4930999", "headers": {"X-Case": "17"}},
                ),
            ),
            Operation(
                "DELETE", _ONE, "Hang up", self._hang_up, query=HangUp, status=204, problems=(404, 410)
            ),
        ]

    def _speaking(self) -> list[Operation]:
        return [
            Operation(
                "POST",
                f"{_ONE}/say",
                "Say something",
                self._say,
                body=Say,
                answer=Ordered,
                status=202,
                problems=_REFUSED,
                text="In turns with the agent: it waits for what is being said, or stops it (`mode`).",
                examples=({"text": "One moment, please."}, {"text": "Fire alarm.", "mode": "now"}),
            ),
            Operation(
                "POST",
                f"{_ONE}/play",
                "Play a file",
                self._play,
                body=Play,
                answer=Ordered,
                status=202,
                problems=(*_REFUSED, 403),
                text="A prompt by name, or a URL on a host that `api.play_hosts` lists. Answered when the"
                " sound is there.",
                examples=({"name": "welcome.wav"}, {"url": "https://sounds.example.org/news.mp3"}),
            ),
            Operation(
                "POST",
                f"{_ONE}/stop",
                "Stop what is being said or played",
                self._stop,
                body=Stop,
                answer=Stopped,
                problems=_REFUSED,
                examples=({}, {"clears": False}),
            ),
            Operation(
                "POST",
                f"{_ONE}/dtmf",
                "Press keys",
                self._press,
                body=Press,
                answer=Ordered,
                status=202,
                problems=_REFUSED,
                examples=({"digits": "1234#"},),
            ),
        ]

    def _handing_on(self) -> list[Operation]:
        return [
            Operation(
                "POST",
                f"{_ONE}/hold",
                "Put the other side on hold",
                self._hold,
                body=Nothing,
                answer=Holding,
                problems=_REFUSED,
                text="It hears us, and we do not hear it. Answered when it has agreed.",
                examples=({},),
            ),
            Operation(
                "POST",
                f"{_ONE}/resume",
                "Take the other side back from hold",
                self._resume,
                body=Nothing,
                answer=Holding,
                problems=_REFUSED,
                examples=({},),
            ),
            Operation(
                "POST",
                f"{_ONE}/transfer",
                "Send the other side to somebody else",
                self._transfer,
                body=Transfer,
                status=202,
                problems=(*_REFUSED, 403),
                text="By REFER: to somebody (`to`), or to the other side of a call that stands (`call`)."
                " Events tell how it goes.",
                examples=({"to": "sip:200@127.0.0.1:5070"}, {"call": "0123456789abcdef"}),
            ),
        ]

    def _about(self) -> list[Operation]:
        return [
            Operation("GET", "/api/openapi.json", "Describe the API (OpenAPI 3.1)", self._document),
            Operation("GET", "/api/docs", "Show this description", self._page, content_type="text/html"),
        ]

    async def _list(self, _request: web.Request, _order: None) -> Outcome:
        return Outcome({"calls": self._ledger.calls()})

    async def _path(self, request: web.Request, _order: None) -> Outcome:
        found = await self._records.kept(request)
        return Outcome(response=web.Response(text=describe(found["media"])))

    async def _choose(self, _request: web.Request, _order: None) -> Outcome:
        return Outcome(self._choices)

    async def _events(self, request: web.Request, _order: None) -> Outcome:
        return Outcome(response=await self._stream.serve(request))

    async def _watch(self, request: web.Request, _order: None) -> Outcome:
        return Outcome(response=await self._desk.serve(request))

    async def _place(self, _request: web.Request, order: PlaceCall) -> Outcome:
        trace = await self._places.place(order)
        return Outcome(trace.summary(), location=f"/api/calls/{trace.id}")

    async def _hang_up(self, request: web.Request, order: HangUp) -> Outcome:
        trace = await self._trace(request)
        if not self._ledger.hang_up(trace.id, order.reason):
            raise _over()
        return Outcome()

    async def _say(self, request: web.Request, order: Say) -> Outcome:
        remote = (await self._standing(request)).remote
        with _bounded():
            label = remote.say(
                order.text,
                mode=order.mode,
                interruptible=order.interruptible,
                sensitivity=order.sensitivity,
            )
        return Outcome(Ordered(id=label))

    async def _play(self, request: web.Request, order: Play) -> Outcome:
        session = await self._standing(request)
        pcm = await self._sound(order, session.trace.rate_hz)
        with _bounded():
            label = session.remote.play(
                pcm, mode=order.mode, interruptible=order.interruptible, sensitivity=order.sensitivity
            )
        return Outcome(Ordered(id=label))

    async def _stop(self, request: web.Request, order: Stop) -> Outcome:
        was_speaking, forgotten = (await self._standing(request)).remote.stop(clears=order.clears)
        return Outcome(Stopped(was_speaking=was_speaking, forgotten=forgotten))

    async def _press(self, request: web.Request, order: Press) -> Outcome:
        remote = (await self._standing(request)).remote
        with _bounded():
            label = remote.press(order.digits, duration_ms=order.duration_ms, pause_ms=order.pause_ms)
        return Outcome(Ordered(id=label))

    async def _hold(self, request: web.Request, _order: Nothing) -> Outcome:
        return await self._held(request, True)

    async def _resume(self, request: web.Request, _order: Nothing) -> Outcome:
        return await self._held(request, False)

    async def _held(self, request: web.Request, is_holding: bool) -> Outcome:
        session = await self._standing(request)
        try:
            await session.hold_peer(is_holding)
        except NegotiationError:
            raise Problem(409, "the other side does not agree to that") from None
        return Outcome(Holding(holding=session.is_holding))

    async def _transfer(self, request: web.Request, order: Transfer) -> Outcome:
        session = await self._standing(request)
        target: str | Session = order.to or ""
        if order.call is not None:
            other = self._ledger.session(order.call)
            if other is None or other is session:
                raise Problem(
                    422, "the other call does not stand", fields={"call": "is no other call that stands"}
                )
            target = other
        else:
            await self._admit(session, order.to or "")
        if not session.remote.transfer(session.transfer(target, timeout_s=order.timeout_s)):
            raise Problem(409, "another transfer of this call is under way")
        return Outcome()

    async def _admit(self, session: Session, target: str) -> None:
        """Ask the dial plan before anything is promised.

        Raises:
            Problem: If it does not admit that.
        """
        try:
            await session.outside.address_of(target)
        except DialRefused as error:
            raise Problem(403, error.what, fix=error.fix) from None
        except ConfigError as error:
            raise Problem(
                403,
                str(error),
                fix="see sip.dial_allow, and the dials of [[trunks]]",
                fields={"to": str(error)},
            ) from None
        except SetupError as error:
            raise Problem(422, str(error), fields={"to": "leads nowhere"}) from None

    async def _document(self, _request: web.Request, _order: None) -> Outcome:
        return Outcome(document(self.operations()))

    async def _page(self, _request: web.Request, _order: None) -> Outcome:
        body = page(document(self.operations()))
        headers = {"Content-Security-Policy": _PAGE_POLICY}
        return Outcome(response=web.Response(text=body, content_type="text/html", headers=headers))

    async def _trace(self, request: web.Request) -> CallTrace:
        """The call that is meant, be it over since before our time.

        Raises:
            Problem: If there is none.
        """
        id = request.match_info["id"]
        if (trace := await self._ledger.look_up(id)) is None:
            raise Problem(404, f"there is no call {id}")
        return trace

    async def _standing(self, request: web.Request) -> Session:
        trace = await self._trace(request)
        session = self._ledger.session(trace.id)
        if session is None or session.trace.state != "up":
            raise _over() if trace.state == "ended" else Problem(409, "the call does not stand yet")
        return session

    async def _sound(self, order: Play, rate_hz: int) -> NDArray[np.int16]:
        """What is to be played, decoded.

        Raises:
            Problem: If there is no such file, or it may not be fetched, or is not sound.
        """
        try:
            if order.name is not None:
                async with self._decoding:
                    return await asyncio.to_thread(prompts.load, self._prompts, order.name, rate=rate_hz)
            async with self._fetching:
                data = await self._fetch(order.url or "", self._terms)
            async with self._decoding:
                return await asyncio.to_thread(prompts.decode, data, rate=rate_hz)
        except FetchRefused as error:
            raise Problem(
                403 if error.fix else 422, str(error), fix=error.fix, fields={"url": str(error)}
            ) from None
        except ConfigError as error:
            raise Problem(
                422, str(error), fix="put it into prompts.folder", fields={"name": str(error)}
            ) from None
        except ValueError as error:
            raise Problem(422, str(error), fields={"url": str(error)}) from None


def _over() -> Problem:
    """Whatever is asked of it later, it stays over: no 409, which may pass."""
    return Problem(410, "the call is over")


class _bounded:  # noqa: N801  used as a statement
    """Turns "too much is waiting" into its answer."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, TooMuchWaiting):
            raise Problem(
                429, str(error), fix="wait for events, or stop what waits", headers={"Retry-After": "2"}
            ) from None

"""An agent on a desk: say something to it, look at what it does."""

from typing import TypeVar

from bridge.sip.agent import Agent, AgentSettings
from bridge.sip.events import Answer, Arrived, Command, Datagram, Established, Output, Place
from bridge.sip.layer import Send
from bridge.sip.message import Request, Response
from bridge.sip.wire import parse
from tests.fakes import MS, ManualClock, SeededIds
from tests.sip.messages import BRIDGE_IP, OFFER, PHONE, parsed_request, raw, reply

T = TypeVar("T")

BRIDGE_SDP = OFFER.replace(b"192.0.2.2", b"192.0.2.9")


class Desk:
    """One agent, its clock, and everything it has done since the last look."""

    def __init__(self, settings: AgentSettings | None = None) -> None:
        self.clock = ManualClock()
        self.agent = Agent(settings or AgentSettings(allow=("192.0.2.0/24",)), ids=SeededIds())
        self.outputs: list[Output] = []

    def hear(self, data: bytes | Request | Response, source: tuple[str, int] = PHONE) -> None:
        self.agent.receive(Datagram(bytes(data), source, BRIDGE_IP), now_ns=self.clock.now_ns())
        self.outputs += self.agent.drain()

    def do(self, command: Command) -> None:
        self.agent.receive(command, now_ns=self.clock.now_ns())
        self.outputs += self.agent.drain()

    def wait(self, ms: float) -> None:
        """Let time pass, timer by timer."""
        end_ns = self.clock.now_ns() + round(ms * MS)
        while (due_ns := self.agent.deadline_ns) is not None and due_ns <= end_ns:
            self.clock.advance((due_ns - self.clock.now_ns()) / MS)
            self.agent.handle_timeout(now_ns=self.clock.now_ns())
            self.outputs += self.agent.drain()
        self.clock.advance((end_ns - self.clock.now_ns()) / MS)

    def look(self) -> list[Output]:
        """Everything since the last look."""
        outputs, self.outputs = self.outputs, []
        return outputs

    def sent(self) -> list[Request | Response]:
        """The messages among it, parsed; forgets the rest."""
        messages = [parse(output.data) for output in self.look() if isinstance(output, Send)]
        return [message for message in messages if message is not None]

    def lines(self) -> list[str]:
        """The messages in short: methods of requests, statuses and methods of responses."""
        return [
            message.method if isinstance(message, Request) else f"{message.status} {message.cseq.method}"
            for message in self.sent()
        ]

    def the(self, kind: type[T]) -> T:
        """The only output of that kind since the last look, which it forgets."""
        found = [output for output in self.look() if isinstance(output, kind)]
        assert len(found) == 1, found
        return found[0]

    def request(self) -> Request:
        """The only message sent since the last look, a request."""
        (message,) = self.sent()
        assert isinstance(message, Request)
        return message

    def response(self) -> Response:
        """The last message sent since the last look, a response."""
        message = self.sent()[-1]
        assert isinstance(message, Response)
        return message


def called(desk: Desk, body: bytes = OFFER, **parts: object) -> str:
    """A phone calls; returns the name of the call."""
    desk.hear(raw("INVITE", body=body, **parts))  # type: ignore[arg-type]
    return desk.the(Arrived).call


def standing(desk: Desk, body: bytes = OFFER, **parts: object) -> str:
    """A phone calls, is answered and acknowledges; nothing is left to look at."""
    call = called(desk, body, **parts)
    desk.do(Answer(call, BRIDGE_SDP))
    desk.hear(raw("ACK", branch="z9hG4bKack", to_tag=call))
    desk.the(Established)
    return call


def placed(desk: Desk, **parts: object) -> Request:
    """We call a phone; returns our INVITE."""
    place = Place("us", "our-call", "sip:lena@192.0.2.2", PHONE, BRIDGE_IP, BRIDGE_SDP, **parts)  # type: ignore[arg-type]
    desk.do(place)
    return desk.request()


def connected(desk: Desk) -> Request:
    """We call a phone and it answers; nothing is left to look at. Returns our INVITE."""
    invite = placed(desk)
    desk.hear(reply(invite, 200, to_tag="lena", contact="<sip:lena@192.0.2.2:5062>", body=OFFER))
    desk.the(Established)
    return invite


def sent_request(output: Output) -> Request:
    assert isinstance(output, Send)
    return parsed_request(output.data)

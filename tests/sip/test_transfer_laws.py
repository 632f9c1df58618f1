"""Whatever both sides do, in whatever order, every request is answered once and every transfer ends once."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sip.events import Hangup
from bridge.sip.layer import Send
from bridge.sip.message import Request, Response
from bridge.sip.refer_events import (
    AcceptReferral,
    Refer,
    Referred,
    RefuseReferral,
    TellReferral,
    Transferring,
)
from bridge.sip.wire import parse
from tests.sip.desk import Desk, standing
from tests.sip.messages import reply
from tests.sip.test_subscription import ANN, notify, refer, within

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["refer", "notify", "they refer", "accept", "refuse", "tell", "answer", "wait", "bye", "hang up"]
        ),
        st.sampled_from([100, 180, 200, 202, 401, 481, 486, 500, 603]),
        st.booleans(),
    ),
    max_size=24,
)


class World:
    """A call, whatever has been sent and asked in it, and every answer to what the peer asked."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.call = standing(self.desk)
        self.number = 1
        self.asked: list[Request] = []
        self.tickets: list[str] = []
        self.endings = 0
        self.sent = 0
        self.answers: Counter[tuple[int, str]] = Counter()
        self.heard = 0

    def look(self) -> None:
        for output in self.desk.look():
            if isinstance(output, Send):
                message = parse(output.data)
                if isinstance(message, Request):
                    self.asked.append(message)
                elif isinstance(message, Response) and message.status >= 200:
                    self.answers[message.cseq.number, message.cseq.method] += 1
            elif isinstance(output, Referred):
                self.tickets.append(output.ticket)
            elif isinstance(output, Transferring) and output.is_over:
                self.endings += 1

    def act(self, action: str, status: int, *, is_last: bool) -> None:
        ticket = self.tickets[-1] if self.tickets else "nothing"
        if action in ("notify", "they refer", "bye"):
            self.number += 1
            self.heard += 1
        match action:
            case "refer":
                self.sent += 1
                self.desk.do(Refer(self.call, ANN))
            case "notify":
                state = "terminated" if is_last else "active"
                self.desk.hear(notify(self.call, f"{status} Word", state=state, number=self.number))
            case "they refer":
                self.desk.hear(refer(self.call, number=self.number))
            case "bye":
                self.desk.hear(within(self.call, "BYE", number=self.number))
            case "accept":
                self.desk.do(AcceptReferral(self.call, ticket))
            case "refuse":
                self.desk.do(RefuseReferral(self.call, ticket, 603))
            case "tell":
                self.desk.do(TellReferral(self.call, ticket, status))
            case "answer" if self.asked:
                self.desk.hear(reply(self.asked.pop(0), status, to_tag=self.call))
            case "wait":
                self.desk.wait(700)
            case "hang up":
                self.desk.do(Hangup(self.call))
        self.look()


@settings(deadline=None, max_examples=200)
@given(ACTIONS)
def test_every_request_is_answered_once_and_no_transfer_ends_twice(
    actions: list[tuple[str, int, bool]],
) -> None:
    world = World()
    for action, status, is_last in actions:
        world.act(action, status, is_last=is_last)
    world.act("hang up", 200, is_last=True)
    world.act("bye", 200, is_last=True)
    world.desk.wait(64_000)
    world.look()

    assert world.endings <= world.sent
    assert len(world.answers) == world.heard
    assert set(world.answers.values()) <= {1}
    assert world.desk.agent.calls == world.desk.agent.transactions == 0
    assert world.desk.agent.deadline_ns is None

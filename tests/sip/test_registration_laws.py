"""A registration over a network that loses, doubles and reorders, at a registrar of moods."""

import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.sip.challenger import Challenger, Verdict
from bridge.sip.events import Ask, Replied
from bridge.sip.grammar import NameAddr
from bridge.sip.layer import Outcome, Send, TransactionLayer
from bridge.sip.message import Request, Response, respond
from bridge.sip.registration import Locate, Located, Start, Stop
from bridge.sip.registration_steps import State
from bridge.sip.wire import parse
from tests.fakes import MS
from tests.sip.test_registration import LENA, OURS, OURS_SEEN, PBX, S, Stand


class Registrar:
    """Challenges, refuses now and then, wants 90 s at least, and remembers until when it knows us."""

    def __init__(self, chance: random.Random) -> None:
        self.bound_until_ns = 0
        self._chance = chance
        self._desk = Challenger(realm="pbx", accounts=(LENA,), secret=b"registrar's own!")
        self._layer = TransactionLayer()

    def hear(self, data: bytes, *, now_ns: int) -> list[bytes]:
        self._layer.handle_timeout(now_ns=now_ns)
        request = parse(data)
        assert isinstance(request, Request)
        if not self._layer.absorb(request, source=OURS_SEEN, now_ns=now_ns):
            key = self._layer.open(request, source=OURS_SEEN, now_ns=now_ns)
            self._layer.respond(key, self._answer(request, now_ns=now_ns), now_ns=now_ns)
        return [output.data for output in self._layer.drain() if isinstance(output, Send)]

    def _answer(self, request: Request, *, now_ns: int) -> Response:
        verdict, _ = self._desk.judge(request, OURS_SEEN[0], now_ns=now_ns)
        if verdict is not Verdict.ADMITTED:
            extra = self._desk.challenge(OURS_SEEN[0], is_stale=verdict is Verdict.STALE, now_ns=now_ns)
            return respond(request, 401, source=OURS_SEEN, to_tag="pbx", extra=extra)
        expires_s = int(request.headers.get("Expires") or "0")
        if 0 < expires_s < 90:
            return respond(request, 423, source=OURS_SEEN, to_tag="pbx", extra=[("Min-Expires", "90")])
        if expires_s and self._chance.random() < 0.1:
            return respond(request, 503, source=OURS_SEEN, to_tag="pbx")
        self.bound_until_ns = now_ns + expires_s * S if expires_s else 0
        contact = NameAddr.parse(request.headers.get("Contact") or "")
        fields = [("Contact", f"<{contact.uri.text}>;expires={expires_s}")]
        return respond(request, 200, source=OURS_SEEN, to_tag="pbx", extra=fields)


class World:
    """The registration, its transactions, the network and the registrar, on one clock."""

    def __init__(self, seed: int, *, loss: float) -> None:
        self.chance = random.Random(seed)  # noqa: S311  predictable on purpose
        self.stand = Stand(seed, expires_s=60)
        self.registrar = Registrar(self.chance)
        self.layer = TransactionLayer()
        self.flying: list[tuple[int, int, bytes, bool]] = []
        self.loss = loss
        self._count = 0

    def run(self, until_s: float) -> None:
        """Let everything happen until then, or for ever."""
        self._settle()
        while (due_ns := self._next()) is not None and due_ns <= until_s * S:
            self.stand.clock.advance((due_ns - self.stand.clock.now_ns()) / MS)
            if self.flying and self.flying[0][0] <= due_ns:
                self._arrive(due_ns)
            self.layer.handle_timeout(now_ns=due_ns)
            self.stand.machine.handle_timeout(now_ns=due_ns)
            self.stand.outputs += self.stand.machine.drain()
            self._settle()
            self._compare()
        self.stand.clock.advance(max(0.0, until_s * 1000 - self.stand.clock.now_ns() / MS))

    def _next(self) -> int | None:
        first = self.flying[0][0] if self.flying else None
        due = (self.stand.machine.deadline_ns, self.layer.deadline_ns, first)
        return min((each for each in due if each is not None), default=None)

    def _arrive(self, now_ns: int) -> None:
        _, _, data, is_ours = self.flying.pop(0)
        if is_ours:
            for answer in self.registrar.hear(data, now_ns=now_ns):
                self._post(answer, is_ours=False)
        else:
            response = parse(data)
            assert response is not None
            self.layer.absorb(response, source=PBX, now_ns=now_ns)

    def _settle(self) -> None:
        is_quiet = False
        while not is_quiet:
            outputs, said = self.stand.look(), self.layer.drain()
            is_quiet = not outputs and not said
            for output in outputs:
                if isinstance(output, Locate):
                    self.stand.do(Located(None if self.chance.random() < 0.1 else PBX, OURS))
                elif isinstance(output, Ask):
                    now_ns = self.stand.clock.now_ns()
                    self.layer.request(output.request, destination=PBX, owner="carrier", now_ns=now_ns)
            for each in said:
                if isinstance(each, Outcome):
                    response = each.message if isinstance(each.message, Response) else None
                    self.stand.do(Replied("carrier", each.request, response))
                else:
                    self._post(each.data, is_ours=True)

    def _post(self, data: bytes, *, is_ours: bool) -> None:
        for _ in range(1 + (self.chance.random() < 0.2)):
            if self.chance.random() >= self.loss:
                self._count += 1
                at_ns = self.stand.clock.now_ns() + self.chance.randint(1, 900) * MS
                self.flying.append((at_ns, self._count, data, is_ours))
        self.flying.sort()

    def _compare(self) -> None:
        machine = self.stand.machine
        if machine.state is State.REGISTERED:
            assert machine.bound_until_ns is not None
            # Its answer was on the way for 32 s at most: so much longer we believe than it does.
            assert 0 <= machine.bound_until_ns - self.registrar.bound_until_ns <= 33 * S


@given(
    seed=st.integers(0, 1 << 30), loss=st.sampled_from([0.0, 0.2, 0.5]), stop_s=st.floats(0, 500, width=32)
)
@example(seed=458456, loss=0.0, stop_s=202.5)
def test_whatever_the_network_does_we_know_what_the_registrar_knows_and_leave_nothing(
    seed: int, loss: float, stop_s: float
) -> None:
    world = World(seed, loss=loss)
    world.stand.do(Start())
    world.run(stop_s)

    world.stand.do(Stop())
    world.run(stop_s + 500)

    assert world.stand.machine.state is State.GONE
    assert world.stand.machine.deadline_ns is None
    assert len(world.layer) == 0
    if loss == 0.0:
        assert world.registrar.bound_until_ns <= stop_s * S


@settings(max_examples=20)
@example(seed=2501)
@given(seed=st.integers(0, 1 << 30))
def test_a_registration_outlives_any_weather_that_passes(seed: int) -> None:
    world = World(seed, loss=0.3)
    world.stand.do(Start())

    world.run(600)
    world.loss = 0.0
    # It may have been refused just before a pause, again and again: the longest one is half an hour.
    for until_s in range(1_500, 20_000, 500):
        if world.registrar.bound_until_ns <= 600 * S:
            world.run(until_s)

    assert world.stand.machine.state is not State.IDLE
    assert world.registrar.bound_until_ns > 600 * S

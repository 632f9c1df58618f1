import pytest

from bridge.sip.dialog import LocalPlace
from bridge.sip.digest import Credentials
from bridge.sip.events import Ask, Replied, Unserved
from bridge.sip.message import Headers, Request, Response, respond
from bridge.sip.registration import (
    Account,
    Failed,
    Locate,
    Located,
    Output,
    Registered,
    Registration,
    Start,
    Stop,
)
from bridge.sip.registration_steps import TRANSITIONS, Event, State
from bridge.sip.wire import parse
from tests.fakes import MS, ManualClock, SeededIds

S = 1000 * MS
PBX = ("192.0.2.50", 5080)
OURS = LocalPlace("192.0.2.9", 5060, "bridge")
LENA = Credentials("lena", "open sesame")
CHALLENGE = ("WWW-Authenticate", 'Digest realm="pbx", nonce="n1", qop="auth"')


class Stand:
    """A registration and a clock; the test is the registrar."""

    def __init__(self, seed: int = 1, **parts: object) -> None:
        account = Account("carrier", "lena", "pbx.example", ("pbx.example", 5080), LENA, **parts)  # type: ignore[arg-type]
        self.clock = ManualClock()
        self.machine = Registration(account, ids=SeededIds(seed))
        self.outputs: list[Output] = []
        self.blamed: list[Unserved] = []

    def do(self, item: Start | Located | Replied | Stop) -> None:
        self.machine.receive(item, now_ns=self.clock.now_ns())
        self.outputs += self.machine.drain()

    def look(self) -> list[Output]:
        """What it did since the last look, but for whom it blames."""
        outputs, self.outputs = self.outputs, []
        self.blamed += [each for each in outputs if isinstance(each, Unserved)]
        return [each for each in outputs if not isinstance(each, Unserved)]

    def the(self) -> Output:
        (output,) = self.look()
        return output

    def wait(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        end_ns = self.clock.now_ns() + round(seconds * S)
        while (due_ns := self.machine.deadline_ns) is not None and due_ns <= end_ns:
            self.clock.advance((due_ns - self.clock.now_ns()) / MS)
            self.machine.handle_timeout(now_ns=self.clock.now_ns())
            self.outputs += self.machine.drain()
        self.clock.advance((end_ns - self.clock.now_ns()) / MS)

    def locate(self, destination: tuple[str, int] | None = PBX) -> None:
        assert isinstance(self.the(), Locate)
        self.do(Located(destination, OURS))

    def asked(self) -> Request:
        ask = self.the()
        assert isinstance(ask, Ask)
        assert ask.owner == "carrier"
        assert ask.destination == PBX
        return ask.request

    def answer(self, request: Request, status: int, *extra: tuple[str, str], seen: str = "") -> None:
        response = respond(request, status, source=OURS_SEEN, to_tag="pbx", extra=list(extra))
        if seen:
            ip, port = seen.split(":")
            response = respond(request, status, source=(ip, int(port)), to_tag="pbx", extra=list(extra))
        read = parse(bytes(response))
        assert isinstance(read, Response)
        self.do(Replied("carrier", request, read))

    def begin(self) -> Request:
        self.do(Start())
        self.locate()
        return self.asked()

    def registered(self, expires_s: int = 3600) -> Registered:
        request = self.begin()
        self.answer(request, 200, ("Expires", str(expires_s)))
        output = self.the()
        assert isinstance(output, Registered)
        return output

    @property
    def is_registered(self) -> bool:
        return self.machine.is_registered(now_ns=self.clock.now_ns())


OURS_SEEN = ("192.0.2.9", 5060)


def test_the_first_register_says_who_and_where_we_are() -> None:
    stand = Stand()
    stand.do(Start())
    assert stand.look() == [Locate("pbx.example", 5080)]
    stand.do(Located(PBX, OURS))

    request = stand.asked()

    assert (request.method, request.uri) == ("REGISTER", "sip:pbx.example")
    assert request.from_.uri.text == request.to.uri.text == "sip:lena@pbx.example"
    assert request.headers.all("Contact") == ["<sip:lena@192.0.2.9:5060>"]
    assert request.headers.get("Expires") == "3600"
    assert request.headers.get("Supported") == "path"
    assert request.headers.get("User-Agent") == "bridge"
    assert request.headers.get("Authorization") is None
    assert stand.machine.state is State.REGISTERING
    assert not stand.is_registered


@pytest.mark.parametrize(
    ("granted_s", "refresh_s"), [(3600, 3240), (600, 540), (120, 80), (60, 30), (20, 10), (1, 1)]
)
def test_a_registration_is_refreshed_in_time_for_two_attempts(granted_s: int, refresh_s: int) -> None:
    stand = Stand()
    assert stand.registered(granted_s).expires_s == granted_s

    stand.wait(refresh_s - 0.1)
    assert stand.look() == []
    stand.wait(0.2)

    stand.locate()
    assert stand.asked().cseq.number == 2
    assert stand.machine.state is State.REGISTERING


def test_a_registration_is_believed_until_it_expires_even_while_a_refresh_fails() -> None:
    stand = Stand()
    stand.registered(120)
    stand.wait(80)
    stand.locate(None)
    assert isinstance(stand.the(), Failed)

    stand.wait(39)
    assert stand.is_registered
    stand.wait(2)
    assert not stand.is_registered


def test_all_requests_of_a_registration_share_call_id_and_tag_and_count_up() -> None:
    stand = Stand()
    first = stand.begin()
    stand.answer(first, 200)
    stand.wait(4000)
    stand.look()
    stand.do(Located(PBX, OURS))

    second = stand.asked()

    assert (second.call_id, second.from_.tag) == (first.call_id, first.from_.tag)
    assert second.cseq.number == first.cseq.number + 1
    assert second.via.branch != first.via.branch


@pytest.mark.parametrize(
    ("fields", "granted_s"),
    [
        ((("Contact", "<sip:lena@192.0.2.9:5060>;expires=300"), ("Expires", "900")), 300),
        ((("Contact", "<sip:other@192.0.2.1>;expires=30, <sip:lena@192.0.2.9:5060>;expires=301"),), 301),
        ((("Contact", "<sip:other@192.0.2.1>;expires=30"), ("Expires", "900")), 900),
        ((("Contact", "<sip:lena@192.0.2.9>"), ("Expires", "901")), 901),
        ((("Contact", "<broken"), ("Expires", "soon")), 3600),
        ((("Contact", '"broken" "twice" <sip:x@y>, <sip:lena@192.0.2.9>;expires=302'),), 302),
        ((), 3600),
        ((("Expires", "999999999"),), 604_800),
    ],
)
def test_the_registrar_decides_how_long(fields: tuple[tuple[str, str], ...], granted_s: int) -> None:
    stand = Stand()
    stand.answer(stand.begin(), 200, *fields)

    output = stand.the()

    assert isinstance(output, Registered)
    assert output.expires_s == granted_s


def test_a_service_route_is_told() -> None:
    stand = Stand()
    stand.answer(
        stand.begin(), 200, ("Service-Route", "<sip:a;lr>, <sip:b;lr>"), ("Service-Route", "<sip:c;lr>")
    )

    output = stand.the()

    assert isinstance(output, Registered)
    assert output.service_route == ("<sip:a;lr>", "<sip:b;lr>", "<sip:c;lr>")
    assert output.destination == PBX


def test_a_challenge_is_answered_and_the_next_refresh_needs_none() -> None:
    stand = Stand()
    first = stand.begin()
    stand.answer(first, 401, CHALLENGE)
    second = stand.asked()
    assert "nc=00000001" in (second.headers.get("Authorization") or "")
    assert second.cseq.number == 2
    stand.answer(second, 200)
    stand.wait(3240)
    stand.look()
    stand.do(Located(PBX, OURS))

    refresh = stand.asked()

    assert "nc=00000002" in (refresh.headers.get("Authorization") or "")


def test_a_wrong_password_is_paused_like_any_failure_and_not_hammered() -> None:
    stand = Stand()
    stand.answer(stand.begin(), 401, CHALLENGE)
    stand.answer(stand.asked(), 401, ("WWW-Authenticate", 'Digest realm="pbx", nonce="n2"'))

    failed = stand.the()

    assert isinstance(failed, Failed)
    assert (failed.status, failed.reason) == (401, "401 Unauthorized")
    assert 30 <= failed.retry_in_s <= 60
    assert stand.machine.state is State.PAUSED


def test_a_stale_nonce_costs_one_more_request() -> None:
    stand = Stand()
    stand.answer(stand.begin(), 401, CHALLENGE)
    stand.answer(
        stand.asked(), 401, ("WWW-Authenticate", 'Digest realm="pbx", nonce="n2", stale=true, qop="auth"')
    )
    stand.answer(stand.asked(), 200)

    assert isinstance(stand.the(), Registered)


def test_a_longer_expiry_is_asked_for_where_423_says_so_and_kept() -> None:
    stand = Stand(expires_s=60)
    stand.answer(stand.begin(), 423, ("Min-Expires", "1800"))
    second = stand.asked()
    assert second.headers.get("Expires") == "1800"
    stand.answer(second, 200)
    stand.look()
    stand.wait(1800)
    stand.look()
    stand.do(Located(PBX, OURS))

    assert stand.asked().headers.get("Expires") == "1800"


@pytest.mark.parametrize("fields", [(), (("Min-Expires", "60"),), (("Min-Expires", "x"),)])
def test_a_423_that_says_nothing_new_is_a_failure(fields: tuple[tuple[str, str], ...]) -> None:
    stand = Stand(expires_s=60)
    stand.answer(stand.begin(), 423, *fields)

    assert isinstance(stand.the(), Failed)


def test_the_pauses_grow_to_half_an_hour_and_differ_between_bridges() -> None:
    pauses: list[list[int]] = []
    for seed in range(8):
        stand = Stand(seed)
        stand.do(Start())
        pauses.append([])
        for _ in range(9):
            stand.locate(None)
            failed = stand.the()
            assert isinstance(failed, Failed)
            assert failed.reason == "pbx.example has no address"
            pauses[-1].append(failed.retry_in_s)
            stand.wait(failed.retry_in_s)

    bounds = [min(1800, 60 * 2**index) for index in range(9)]
    for row in pauses:
        assert all(bound / 2 <= pause <= bound for pause, bound in zip(row, bounds, strict=True))
    assert len({row[-1] for row in pauses}) > 4


def test_a_success_makes_the_pauses_short_again() -> None:
    stand = Stand()
    stand.do(Start())
    for _ in range(5):
        stand.locate(None)
        stand.look()
        stand.wait(1800)
    stand.locate()
    stand.answer(stand.asked(), 200)
    stand.look()
    stand.wait(3240)
    stand.locate(None)

    failed = stand.the()

    assert isinstance(failed, Failed)
    assert failed.retry_in_s <= 60


@pytest.mark.parametrize(
    ("status", "retry_after", "pause_s"),
    [
        (503, "120", 120),
        (486, "120 (busy)", 120),
        (500, "99999", 3600),
        (503, "soon", None),
        (403, None, None),
    ],
)
def test_a_registrar_may_say_when_to_try_again(
    status: int, retry_after: str | None, pause_s: int | None
) -> None:
    stand = Stand()
    stand.answer(stand.begin(), status, *([("Retry-After", retry_after)] if retry_after else []))

    failed = stand.the()

    assert isinstance(failed, Failed)
    assert failed.status == status
    assert failed.retry_in_s == pause_s or (pause_s is None and failed.retry_in_s <= 60)


def test_no_answer_is_a_failure() -> None:
    stand = Stand()
    request = stand.begin()
    stand.do(Replied("carrier", request, None))

    failed = stand.the()

    assert isinstance(failed, Failed)
    assert (failed.reason, failed.status) == ("no answer", 0)


def test_a_registration_for_no_time_is_a_failure() -> None:
    stand = Stand()
    stand.answer(stand.begin(), 200, ("Expires", "0"))

    assert isinstance(stand.the(), Failed)
    assert not stand.is_registered


def test_a_provisional_answer_changes_nothing() -> None:
    stand = Stand()
    stand.answer(stand.begin(), 100)

    assert stand.look() == []
    assert stand.machine.state is State.REGISTERING


def test_a_redirection_is_followed_and_forgotten_with_the_next_refresh() -> None:
    stand = Stand()
    stand.answer(stand.begin(), 302, ("Contact", "<broken>, <tel:1>, <sip:pbx@second.example>"))
    assert stand.look() == [Locate("second.example", None)]
    stand.do(Located(PBX, OURS))
    stand.answer(stand.asked(), 200)
    stand.look()

    stand.wait(3300)

    assert stand.look() == [Locate("pbx.example", 5080)]


def test_redirections_have_an_end() -> None:
    stand = Stand()
    request = stand.begin()
    for _ in range(3):
        stand.answer(request, 302, ("Contact", "<sip:again.example:5080>"))
        stand.locate()
        request = stand.asked()

    stand.answer(request, 302, ("Contact", "<sip:again.example:5080>"))

    assert isinstance(stand.the(), Failed)


def test_a_redirection_to_nowhere_is_a_failure() -> None:
    stand = Stand()
    stand.answer(stand.begin(), 302)

    assert isinstance(stand.the(), Failed)


def test_behind_a_nat_the_address_that_was_seen_is_registered_instead() -> None:
    stand = Stand(learns_address=True)
    stand.answer(stand.begin(), 200, seen="203.0.113.7:40000")

    second = stand.asked()

    assert second.headers.all("Contact") == [
        "<sip:lena@203.0.113.7:40000>",
        "<sip:lena@192.0.2.9:5060>;expires=0",
    ]
    stand.answer(second, 200, seen="203.0.113.7:40000")
    assert isinstance(stand.the(), Registered)
    stand.wait(3240)
    stand.look()
    stand.do(Located(PBX, OURS))
    third = stand.asked()
    assert third.headers.all("Contact") == ["<sip:lena@203.0.113.7:40000>"]
    stand.answer(third, 200, seen="203.0.113.7:40001")
    assert "203.0.113.7:40001" in stand.asked().headers.all("Contact")[0]


def test_an_address_that_changes_with_every_answer_is_learnt_once_an_attempt() -> None:
    stand = Stand(learns_address=True)
    stand.answer(stand.begin(), 200, seen="203.0.113.7:40000")
    stand.answer(stand.asked(), 200, seen="203.0.113.7:40001")

    assert isinstance(stand.the(), Registered)


def test_without_being_told_a_seen_address_is_not_believed() -> None:
    stand = Stand()
    stand.answer(stand.begin(), 200, seen="203.0.113.7:40000")

    assert isinstance(stand.the(), Registered)


def test_an_impossible_port_is_not_learnt() -> None:
    stand = Stand(learns_address=True)
    stand.answer(stand.begin(), 200, seen="203.0.113.7:0")

    assert isinstance(stand.the(), Registered)


def test_what_comes_too_late_is_ignored() -> None:
    stand = Stand()
    first = stand.begin()
    stand.answer(first, 401, CHALLENGE)
    second = stand.asked()
    stand.answer(first, 403)
    stand.do(Located(None))
    stand.do(Start())
    assert stand.look() == []
    stand.answer(second, 200)
    stand.look()
    stand.answer(second, 403)
    stand.do(Located(PBX, OURS))
    assert stand.look() == []
    assert stand.is_registered
    stand.machine.handle_timeout(now_ns=stand.clock.now_ns())
    assert stand.machine.state is State.REGISTERED


def test_the_table_names_only_steps_and_every_state_can_end() -> None:
    assert set(TRANSITIONS) == set(State)
    for row in TRANSITIONS.values():
        assert set(row) <= set(Event)
        assert set(row.values()) <= set(State)
    can_end = {State.GONE}
    for _ in State:
        can_end |= {state for state, row in TRANSITIONS.items() if can_end & set(row.values())}
    assert can_end == set(State)


@pytest.mark.parametrize("received", ["2001:db8::7", "[2001:DB8:0::7]"])
def test_an_ipv6_address_is_registered_in_brackets_however_the_registrar_writes_it(received: str) -> None:
    stand = Stand(learns_address=True)
    asked = stand.begin()
    answer = respond(asked, 200, source=("192.0.2.50", 5080), to_tag="pbx")
    via = f"SIP/2.0/UDP 192.0.2.9:5060;rport=40000;received={received};branch={asked.via.branch}"
    headers = [("Via", via), *answer.headers.without("Via")]
    stand.do(Replied("carrier", asked, Response(200, "OK", Headers(headers))))

    assert stand.asked().headers.all("Contact")[0] == "<sip:lena@[2001:db8::7]:40000>"


def test_a_registrar_may_be_an_ipv6_address() -> None:
    account = Account("carrier", "lena", "2001:db8::5", ("2001:db8::5", 5080), LENA)
    machine = Registration(account, ids=SeededIds())
    machine.receive(Start(), now_ns=0)
    machine.receive(Located(("2001:db8::5", 5080), LocalPlace("2001:db8::9", 5060)), now_ns=0)

    (_, ask) = machine.drain()

    assert isinstance(ask, Ask)
    assert ask.request.uri == "sip:[2001:db8::5]"
    assert ask.request.headers.get("To") == "<sip:lena@[2001:db8::5]>"
    assert ask.request.headers.get("Contact") == "<sip:lena@[2001:db8::9]:5060>"


@pytest.mark.parametrize(("transport", "said"), [("TCP", "tcp"), ("TLS", "tls")])
def test_a_contact_says_by_what_calls_are_to_come(transport: str, said: str) -> None:
    stand = Stand(transport=transport)
    stand.do(Start())
    assert isinstance(stand.the(), Locate)
    stand.do(Located(PBX, LocalPlace("192.0.2.9", 5061, transport=transport)))
    asked = stand.asked()

    assert asked.headers.all("Contact") == [f"<sip:lena@192.0.2.9:5061;transport={said}>"]

    contact = f"<sip:lena@192.0.2.9:5061;transport={said}>;expires=77"
    stand.answer(asked, 200, ("Contact", contact), ("Expires", "3600"))
    registered = stand.the()
    assert isinstance(registered, Registered)
    assert registered.expires_s == 77

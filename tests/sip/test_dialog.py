import pytest

from bridge.errors import RemoteProtocolError
from bridge.sip.dialog import Dialog, LocalPlace
from tests.sip.messages import PHONE, reply, request

PLACE = LocalPlace("192.0.2.9", 5070, "test")
TWO_PROXIES = ("Record-Route: <sip:p2@192.0.2.22;lr>, <sip:p1@192.0.2.21;lr>",)


def callee(**parts: object) -> Dialog:
    return Dialog.of_callee(request("INVITE", **parts), local_tag="bot", place=PLACE, source=PHONE)


def test_the_callee_sends_its_requests_to_the_callers_contact() -> None:
    dialog = callee(contact="<sip:lena@192.0.2.3:5099;transport=udp>")

    bye = dialog.request("BYE", branch="z9hG4bKx")

    assert dialog.destination == ("192.0.2.3", 5099)
    assert bytes(bye).decode().split("\r\n") == [
        "BYE sip:lena@192.0.2.3:5099;transport=udp SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.9:5070;rport;branch=z9hG4bKx",
        "Max-Forwards: 70",
        "From: <sip:bot@192.0.2.9>;tag=bot",
        "To: Lena <sip:lena@192.0.2.2>;tag=phone",
        "Call-ID: call-1",
        "CSeq: 1 BYE",
        "User-Agent: test",
        "Content-Length: 0",
        "",
        "",
    ]


def test_numbers_grow_with_every_request_of_ours() -> None:
    dialog = callee()

    assert [dialog.request("OPTIONS", branch="z9hG4bKx").cseq.number for _ in range(3)] == [1, 2, 3]
    assert dialog.request("OPTIONS", branch="z9hG4bKx").headers.get("Contact") == PLACE.contact


def test_a_callee_follows_the_recorded_route_from_the_top() -> None:
    dialog = callee(extra=TWO_PROXIES)

    bye = dialog.request("BYE", branch="z9hG4bKx")

    assert dialog.destination == ("192.0.2.22", 5060)
    assert bye.uri == "sip:lena@192.0.2.2:5060"
    assert bye.headers.all("Route") == ["<sip:p2@192.0.2.22;lr>", "<sip:p1@192.0.2.21;lr>"]


def test_a_caller_follows_the_recorded_route_from_the_bottom() -> None:
    invite = request("INVITE", extra=TWO_PROXIES)

    dialog = Dialog.of_caller(invite, reply(invite, 200), place=PLACE)
    ack = dialog.ack(invite.cseq.number, branch="z9hG4bKx")

    assert dialog.destination == ("192.0.2.21", 5060)
    assert (str(ack.cseq), ack.uri, ack.to.tag) == ("1 ACK", "sip:bot@192.0.2.9:5070", "bot")
    assert ack.headers.all("Route") == ["<sip:p1@192.0.2.21;lr>", "<sip:p2@192.0.2.22;lr>"]


def test_a_strict_router_finds_itself_in_the_request_uri() -> None:
    dialog = callee(extra=("Record-Route: <sip:strict@192.0.2.22>, <sip:p1@192.0.2.21;lr>",))

    bye = dialog.request("BYE", branch="z9hG4bKx")

    assert bye.uri == "sip:strict@192.0.2.22"
    assert bye.headers.all("Route") == ["<sip:p1@192.0.2.21;lr>", "<sip:lena@192.0.2.2:5060>"]


def test_a_contact_behind_a_nat_is_reached_where_its_packets_come_from() -> None:
    behind = request("INVITE", via="SIP/2.0/UDP 10.0.0.7:5060", contact="<sip:lena@10.0.0.7>")

    dialog = Dialog.of_callee(behind, local_tag="bot", place=PLACE, source=("192.0.2.2", 33333))

    assert dialog.destination == ("192.0.2.2", 33333)
    assert dialog.request("BYE", branch="z9hG4bKx").uri == "sip:lena@10.0.0.7"


def test_a_contact_elsewhere_is_believed_though_the_sender_is_behind_a_nat() -> None:
    behind = request("INVITE", via="SIP/2.0/UDP 10.0.0.7:5060", contact="<sip:lena@192.0.2.50>")

    dialog = Dialog.of_callee(behind, local_tag="bot", place=PLACE, source=PHONE)

    assert dialog.destination == ("192.0.2.50", 5060)


def test_a_peer_that_moves_is_followed() -> None:
    dialog = callee()

    dialog.peer = dialog.whereabouts(
        request("INVITE", number=2, contact="<sip:lena@192.0.2.4:1234>"), source=PHONE
    )
    dialog.peer = dialog.whereabouts(request("INVITE", number=3, contact=None), source=PHONE)

    assert dialog.destination == ("192.0.2.4", 1234)


def test_a_peer_whose_nat_opens_another_port_is_followed_there() -> None:
    behind = request("INVITE", via="SIP/2.0/UDP 10.0.0.7:5060", contact="<sip:lena@10.0.0.7>")
    dialog = Dialog.of_callee(behind, local_tag="bot", place=PLACE, source=("192.0.2.2", 33333))

    dialog.peer = dialog.whereabouts(behind, source=("192.0.2.3", 44444))

    assert dialog.destination == ("192.0.2.3", 44444)
    assert dialog.target.host == "10.0.0.7"


@pytest.mark.parametrize(
    ("contact", "source", "destination"),
    [
        ("<sip:x@192.168.7.7:5070>", ("198.51.100.1", 9), ("198.51.100.1", 9)),
        ("<sip:x@192.168.7.7:5070>", ("10.0.0.9", 9), ("10.0.0.9", 9)),
        ("<sip:x@10.0.0.50:5070>", ("10.0.0.9", 9), ("10.0.0.50", 5070)),
        ("<sip:x@203.0.113.7:5070>", ("10.0.0.9", 9), ("203.0.113.7", 5070)),
        ("<sip:x@phone.example.com:5070>", ("10.0.0.9", 9), ("phone.example.com", 5070)),
        ("<sip:x@192.168.7.7:5070>", None, ("192.168.7.7", 5070)),
    ],
)
def test_a_callee_behind_a_nat_is_reached_where_its_answer_came_from(
    contact: str, source: tuple[str, int] | None, destination: tuple[str, int]
) -> None:
    invite = request("INVITE")

    dialog = Dialog.of_caller(invite, reply(invite, 200, contact=contact), place=PLACE, source=source)

    assert dialog.destination == destination


def test_a_recorded_route_goes_before_what_a_nat_shows() -> None:
    invite = request("INVITE", extra=TWO_PROXIES)
    success = reply(invite, 200, contact="<sip:x@192.168.7.7>")

    dialog = Dialog.of_caller(invite, success, place=PLACE, source=("198.51.100.1", 9))

    assert dialog.destination == ("192.0.2.21", 5060)


def test_requests_of_the_peer_must_come_in_order() -> None:
    dialog = callee(number=5)

    assert not dialog.admits(request("INFO", number=5))
    assert dialog.admits(request("INFO", number=6))
    assert not dialog.admits(request("INFO", number=6))
    assert dialog.admits(request("INFO", number=9))


def test_a_dialog_is_known_by_call_id_and_both_tags() -> None:
    dialog = callee()

    assert dialog.has(request("BYE", to_tag="bot"))
    assert not dialog.has(request("BYE", to_tag="bot", call_id="other"))
    assert not dialog.has(request("BYE", to_tag="bot", from_tag="other"))


@pytest.mark.parametrize(
    "parts",
    [
        {"contact": None},
        {"contact": "<tel:+49301>"},
        {"contact": "<broken"},
        {"extra": ("Record-Route: <tel:+49301>",)},
        {"extra": ('Record-Route: "',)},
    ],
)
def test_without_a_way_back_there_is_no_dialog(parts: dict[str, object]) -> None:
    with pytest.raises(RemoteProtocolError):
        callee(**parts)


def test_an_old_caller_without_a_contact_is_where_its_from_says() -> None:
    assert callee(branch="1", contact=None).target.text == "sip:lena@192.0.2.2"
    with pytest.raises(RemoteProtocolError):
        callee(contact=None)


@pytest.mark.parametrize(
    ("contact", "source", "is_hidden"),
    [
        ("[fd00::7]", "2001:db8::7", True),
        ("[FD00:0::7]", "fd00::7", False),
        ("[::1]", "2001:db8::7", True),
        ("[2001:db8::9]", "2001:db8::7", False),
        ("10.0.0.7", "2001:db8::7", False),
    ],
)
def test_an_ipv6_contact_that_only_its_own_network_knows_is_not_sent_to(
    contact: str, source: str, is_hidden: bool
) -> None:
    invite = request("INVITE")
    answer = reply(invite, 200, contact=f"<sip:bot@{contact}:5070>")

    dialog = Dialog.of_caller(invite, answer, place=PLACE, source=(source, 9))

    assert dialog.destination == ((source, 9) if is_hidden else dialog.target.destination)


def test_a_caller_whose_via_and_contact_spell_its_ipv6_address_otherwise_is_behind_no_nat() -> None:
    parts = {"via": "SIP/2.0/UDP [2001:DB8::7]", "contact": "<sip:p@[2001:db8:0::7]:5070>"}

    at_home = Dialog.of_callee(
        request("INVITE", **parts), local_tag="bot", place=PLACE, source=("2001:db8::7", 5070)
    )
    moved = Dialog.of_callee(
        request("INVITE", **parts), local_tag="bot", place=PLACE, source=("2001:db8:1::9", 1024)
    )

    assert at_home.destination == ("2001:db8::7", 5070)
    assert moved.destination == ("2001:db8:1::9", 1024)

"""All messages of RFC 4475, against the parser and a whole agent; the outcomes lie beside the messages."""

from pathlib import Path
from typing import NamedTuple

import pytest

from bridge.errors import RemoteProtocolError
from bridge.sip import wire
from bridge.sip.events import Answer, Arrived, Output, Ring
from bridge.sip.grammar import Uri
from bridge.sip.layer import Send
from bridge.sip.message import Request, Response
from tests.sip.desk import BRIDGE_SDP, Desk
from tests.sip.messages import OFFER, raw

VECTORS = Path(__file__).parents[1] / "vectors"


class Verdict(NamedTuple):
    """One line of the table."""

    file: str
    parser: str
    agent: str
    why: str

    @property
    def data(self) -> bytes:
        return (VECTORS / f"{self.file}.sip").read_bytes()


def _table() -> list[Verdict]:
    lines = (VECTORS / "rfc4475.txt").read_text(encoding="utf-8").splitlines()
    return [Verdict(*(cell.strip() for cell in line.split("|"))) for line in lines if line and line[0] != "#"]


TABLE = _table()
EACH = pytest.mark.parametrize("verdict", TABLE, ids=lambda verdict: verdict.file)


def named(name: str) -> bytes:
    return next(verdict.data for verdict in TABLE if verdict.file.endswith(f"_{name}"))


def request(name: str) -> Request:
    parsed = wire.parse(named(name))
    assert isinstance(parsed, Request)
    return parsed


def response(name: str) -> Response:
    parsed = wire.parse(named(name))
    assert isinstance(parsed, Response)
    return parsed


def spoken(outputs: list[Output]) -> list[int]:
    """Statuses sent, read off the first lines: an answer may mirror what no parser of ours would take."""
    return [int(output.data.split(b" ")[1]) for output in outputs if isinstance(output, Send)]


def test_there_are_forty_nine_and_each_has_a_verdict() -> None:
    assert len(TABLE) == 49
    assert {verdict.file for verdict in TABLE} == {path.stem for path in VECTORS.glob("3.*.sip")}


@EACH
def test_the_parser_reads_it_or_refuses_it(verdict: Verdict) -> None:
    try:
        outcome = "reads" if wire.parse(verdict.data) is not None else "nothing"
    except RemoteProtocolError:
        outcome = "refuses"

    assert outcome == verdict.parser


@EACH
def test_an_agent_gives_it_the_answer_it_deserves(verdict: Verdict) -> None:
    desk = Desk()

    desk.hear(verdict.data)

    outputs = desk.look()
    rings = any(isinstance(output, Arrived) for output in outputs)
    statuses = spoken(outputs)
    outcome = "rings" if rings and statuses == [100] else " ".join(map(str, statuses)) or "drops"
    assert outcome == verdict.agent


@EACH
def test_it_disturbs_no_call_and_leaves_nothing_behind(verdict: Verdict) -> None:
    desk = Desk()
    desk.hear(raw("INVITE", body=OFFER))
    call = desk.the(Arrived).call

    for _ in range(3):
        desk.hear(verdict.data)
    for arrived in [output for output in desk.look() if isinstance(output, Arrived)]:
        desk.do(Ring(arrived.call))
        desk.do(Answer(arrived.call, BRIDGE_SDP))
    desk.look()
    desk.do(Answer(call, BRIDGE_SDP))

    assert spoken(desk.look()) == [200]
    # Whatever began is given up when nobody says more: T1·64 for a 2xx, and again for the BYE.
    desk.wait(200_000)
    assert (desk.agent.calls, desk.agent.transactions) == (0, 0)


def test_escaped_characters_mean_what_they_stand_for_once() -> None:
    invite = request("esc01")

    assert (invite.to.uri.user, invite.from_.uri.user) == ("user", "I have spaces")
    assert invite.contact is not None
    assert invite.contact.uri.user == "caller"


def test_an_escaped_null_does_not_shorten_a_name() -> None:
    assert request("escnull").to.uri.user == "null-%00-null"


def test_percent_signs_outside_of_uris_are_percent_signs() -> None:
    odd = request("esc02")

    assert odd.method == "RE%47IST%45R"
    assert odd.headers.listed("Contact") == [
        "<sip:alias1@host1.example.com>",
        "<sip:alias3@host3.example.com>",
    ]


def test_what_follows_the_body_is_ignored() -> None:
    assert request("dblreq").body == b""


def test_a_user_may_have_a_parameter_with_an_at_sign_in_it() -> None:
    uri = Uri.parse(request("semiuri").uri)

    assert (uri.user, uri.host) == ("user;par=u@example.net", "example.com")


def test_a_body_of_bytes_is_kept_whole() -> None:
    message = request("mpart01")

    assert len(message.body) == 553
    assert b"\x00" in message.body
    assert message.body.endswith(b"--7a9cbec02ceef655--")


def test_reason_words_may_be_of_any_language_or_absent() -> None:
    assert response("unreason").reason == "= 2**3 * 5**2 но сто девяносто девять - простое"
    assert (response("noreason").status, response("noreason").reason) == (100, "")


def test_an_address_with_escaped_headers_needs_brackets() -> None:
    with pytest.raises(RemoteProtocolError):
        _ = request("regbadct").contact
    assert request("regescrt").contact is not None


def test_bare_parameters_belong_to_the_header_and_bracketed_ones_to_the_uri() -> None:
    bare, bracketed = request("cparam01").contact, request("cparam02").contact

    assert bare is not None
    assert bracketed is not None
    assert (bare.parameters, bare.uri.parameters) == ((("unknownparam", None),), ())
    assert (bracketed.parameters, bracketed.uri.parameters) == ((), (("unknownparam", None),))

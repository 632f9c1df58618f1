"""Hold, resume and transfer by the API, with a bare telephone at the other end."""

import asyncio
from typing import Any

import aiohttp
import pytest

from bridge.sip.message import Request
from tests.app.api_house import House, house
from tests.app.test_api_events import told
from tests.call.test_exchange import heard
from tests.sip.messages import OFFER, parsed_request, raw, reply

TARGET = "sip:200@127.0.0.1:9"


def asking(served: House, call: str, path: str, body: object = None) -> "asyncio.Task[tuple[int, Any]]":
    return asyncio.create_task(served.ask("POST", f"/api/calls/{call}/{path}", body))


def answers(served: House, request: Request, status: int, *, body: bytes = b"") -> None:
    host, port = served.phone.address
    contact = f"<sip:p@{host}:{port}>"
    served.phone.say(bytes(reply(request, status, to_tag=request.to.tag, contact=contact, body=body)))


async def changed(served: House, status: int) -> bytes:
    """Let the telephone answer our re-INVITE; return the offer."""
    change = parsed_request(await heard(served.phone, b"INVITE "))
    held = OFFER.replace(b"a=rtpmap", b"a=recvonly\r\na=rtpmap", 1)
    answers(served, change, status, body=held if status == 200 and b"sendonly" in change.body else OFFER)
    await heard(served.phone, b"ACK ")
    return change.body


async def until(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    while True:
        (event,) = await told(socket, 1)
        if event["type"] == kind:
            return event


async def test_the_other_side_is_held_and_taken_back() -> None:
    async with house() as served, served.client.ws_connect("/api/events") as socket:
        call = await served.called()
        await until(socket, "call.answered")

        holding = asking(served, call, "hold")
        assert b"a=sendonly" in await changed(served, 200)
        assert await holding == (200, {"holding": True})
        assert await served.ask("POST", f"/api/calls/{call}/hold") == (200, {"holding": True})
        held = await until(socket, "call.held")

        resuming = asking(served, call, "resume", {})
        assert b"a=sendonly" not in await changed(served, 200)
        assert await resuming == (200, {"holding": False})
        resumed = await until(socket, "call.resumed")

    assert (held["by"], resumed["by"]) == ("us", "us")
    assert resumed["seq"] == held["seq"] + 1


async def test_a_telephone_that_does_not_let_itself_be_held_is_not() -> None:
    async with house() as served:
        call = await served.called()
        holding = asking(served, call, "hold")
        await changed(served, 488)

        status, problem = await holding
        assert (status, problem["detail"]) == (409, "the other side does not agree to that")
        assert served.exchange.ledger.session(call) is not None


def notified(served: House, call: str, status: int, *, number: int, is_last: bool) -> bytes:
    """What the telephone says of the transfer."""
    body = f"SIP/2.0 {status} Whatever\r\n".encode()
    state = "terminated;reason=noresource" if is_last else "active;expires=60"
    host, port = served.phone.address
    message = raw(
        "NOTIFY",
        branch=f"z9hG4bKn{number}",
        number=10 + number,
        via=f"SIP/2.0/UDP {host}:{port}",
        to_tag=call,
        extra=("Event: refer", f"Subscription-State: {state}"),
        body=body,
    )
    return message.replace(b"application/sdp", b"message/sipfrag;version=2.0")


@pytest.mark.parametrize(("final", "succeeded"), [(200, True), (486, False)])
async def test_a_transfer_is_told_to_its_end(final: int, succeeded: bool) -> None:
    async with house() as served, served.client.ws_connect("/api/events") as socket:
        call = await served.called()
        order = asking(served, call, "transfer", {"to": TARGET})
        refer = parsed_request(await heard(served.phone, b"REFER "))
        assert await order == (202, "")
        assert TARGET in str(refer.headers.get("Refer-To"))
        again, problem = await served.ask("POST", f"/api/calls/{call}/transfer", {"to": TARGET})
        assert (again, "under way" in problem["detail"]) == (409, True)

        answers(served, refer, 202)
        tag = str(refer.from_.tag)
        served.phone.say(notified(served, tag, 180, number=1, is_last=False))
        served.phone.say(notified(served, tag, final, number=2, is_last=True))

        started = await until(socket, "transfer.started")
        progress = [(await until(socket, "transfer.progress"))["status"] for _ in range(2)]
        ended = await until(socket, "transfer.ended")
        assert (started["attended"], progress) == (False, [202, 180])
        assert (ended["status"], ended["succeeded"]) == (final, succeeded)
        if succeeded:
            assert (await until(socket, "call.ended"))["reason"] == "transferred"
        else:
            assert served.exchange.ledger.session(call) is not None


@pytest.mark.parametrize(
    ("order", "status", "says"),
    [
        ({"to": "sip:1@192.0.2.9"}, 403, "sip.dial_allow=127.0.0.0/8,192.0.2.9"),
        ({"to": "nonsense"}, 403, "sip.dial_allow"),
        ({"to": "sip:1@nowhere.invalid"}, 422, "has no address"),
        ({"call": "none"}, 422, "the other call does not stand"),
        ({"call": "itself"}, 422, "the other call does not stand"),
        ({"to": TARGET, "call": "none"}, 422, "one of the two"),
        ({}, 422, "one of the two"),
        ({"to": TARGET, "timeout_s": 0}, 422, "timeout_s"),
    ],
)
async def test_nobody_is_sent_where_nobody_may_call(order: dict[str, Any], status: int, says: str) -> None:
    async with house() as served:
        call = await served.called()
        if order.get("call") == "itself":
            order = {"call": call}

        answered, problem = await served.ask("POST", f"/api/calls/{call}/transfer", order)

        assert answered == status
        assert says in f"{problem['detail']} {problem.get('fix', '')}"


@pytest.mark.parametrize("path", ["hold", "resume", "transfer"])
async def test_a_call_that_is_over_goes_nowhere(path: str) -> None:
    async with house() as served:
        call = await served.called()
        await served.ask("DELETE", f"/api/calls/{call}")
        await served.exchange.empty()
        body = {"to": TARGET} if path == "transfer" else None

        assert (await served.ask("POST", f"/api/calls/{call}/{path}", body))[0] == 410

"""Taking a registration back."""

import pytest

from bridge.sip.events import Replied
from bridge.sip.registration import (
    Start,
    Stop,
    Unregistered,
)
from tests.sip.test_registration import CHALLENGE, Stand


def test_stopping_takes_the_registration_back_and_is_answered_once() -> None:
    stand = Stand()
    stand.registered()
    stand.do(Stop())
    request = stand.asked()
    assert request.headers.get("Expires") == "0"
    assert request.headers.all("Contact") == ["<sip:lena@192.0.2.9:5060>"]
    stand.do(Stop())
    assert stand.look() == []

    stand.answer(request, 401, CHALLENGE)
    second = stand.asked()
    assert second.headers.get("Expires") == "0"
    stand.answer(second, 200)

    assert stand.look() == [Unregistered()]
    assert stand.machine.deadline_ns is None
    assert not stand.is_registered


@pytest.mark.parametrize("status", [403, 302])
def test_a_registrar_that_will_not_let_go_is_left_all_the_same(status: int) -> None:
    stand = Stand()
    stand.registered()
    stand.do(Stop())
    stand.answer(stand.asked(), status, ("Contact", "<sip:elsewhere.example>"))

    assert stand.look() == [Unregistered()]


def test_stopping_waits_for_the_answer_to_an_open_request() -> None:
    stand = Stand()
    request = stand.begin()
    stand.do(Stop())
    assert stand.look() == []
    stand.answer(request, 200)

    assert stand.asked().headers.get("Expires") == "0"


def test_stopping_during_a_challenge_takes_back_what_may_be_there() -> None:
    stand = Stand()
    request = stand.begin()
    stand.do(Stop())
    stand.answer(request, 401, CHALLENGE)

    assert stand.asked().headers.get("Expires") == "0"


def test_stopping_after_a_refusal_ends_at_once() -> None:
    stand = Stand()
    request = stand.begin()
    stand.do(Stop())
    stand.do(Replied("carrier", request, None))

    assert stand.look() == [Unregistered()]


def test_stopping_with_nothing_registered_says_nothing_to_anybody() -> None:
    idle, locating, paused = Stand(), Stand(), Stand()
    locating.do(Start())
    paused.do(Start())
    paused.locate(None)
    for stand in (idle, locating, paused):
        stand.look()
        stand.do(Stop())
        assert stand.look() == [Unregistered()]
        assert stand.machine.deadline_ns is None


def test_a_pause_with_a_registration_still_valid_is_stopped_by_taking_it_back() -> None:
    stand = Stand()
    stand.registered(600)
    stand.wait(540)
    stand.locate(None)
    stand.look()

    stand.do(Stop())

    assert stand.asked().headers.get("Expires") == "0"

"""Keys through a whole bridge and back: an agent presses what it was told, by every way a phone knows."""

from collections.abc import Collection, Iterator
from typing import Any

import pytest

from tests.e2e import agents
from tests.e2e.key_phone import KeyPhone
from tests.e2e.running import RunningBridge

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

WAYS = [
    pytest.param(("events",), True, id="events"),
    pytest.param(("tones",), False, id="tones"),
    pytest.param(("info",), False, id="info"),
]
NUMBER = "1159D0*A"


@pytest.fixture(scope="module")
def bridge() -> Iterator[RunningBridge]:
    with RunningBridge(agents.routes(mirror="tone", hurdle="tone")) as running:
        yield running


@pytest.fixture(scope="module")
def attentive() -> Iterator[RunningBridge]:
    """A bridge that always listens to the sound."""
    settings = agents.routes(mirror="tone", hurdle="tone") | {"media.inband_digits": "always"}
    with RunningBridge(settings) as running:
        yield running


def account(bridge: RunningBridge, phone: KeyPhone) -> dict[str, Any]:
    found = bridge.get(f"/api/calls/{phone.call_id}")
    assert isinstance(found, dict)
    return found


def type_and_listen(
    bridge: RunningBridge, *, by: Collection[str], events: bool
) -> tuple[str, str, dict[str, Any]]:
    """Type a number to the mirror: what came back as events, as tones, and the bridge's own account."""
    with KeyPhone(("127.0.0.1", bridge.sip_port)) as phone:
        phone.dial("mirror", events=events)
        phone.key(NUMBER + "#", by=by)
        phone.rest(len(NUMBER) * 8 + 25)
        if "info" in by:
            assert phone.infos_answered() == len(NUMBER) + 1
        return phone.keys_back(), phone.tones_back(), account(bridge, phone)


@pytest.mark.parametrize(("by", "events"), WAYS)
def test_a_number_is_heard_by_any_way_and_pressed_back_by_the_best(
    bridge: RunningBridge, by: tuple[str, ...], events: bool
) -> None:
    keys, tones, told = type_and_listen(bridge, by=by, events=events)

    assert (keys, tones) == ((NUMBER, "") if events else ("", NUMBER))
    assert told["digits"] == len(NUMBER) + 1
    assert told["media"]["rx_keys_ignored"] == 0
    assert told["media"]["tx_keys"] == len(NUMBER)
    assert told["media"]["silence_keys"] >= len(NUMBER) * 8


def test_a_number_that_comes_by_all_ways_at_once_comes_once(attentive: RunningBridge) -> None:
    keys, tones, told = type_and_listen(attentive, by=("events", "tones", "info"), events=True)

    assert (keys, tones) == (NUMBER, "")
    assert told["digits"] == len(NUMBER) + 1
    assert told["barge_ins"] == []


@pytest.mark.parametrize(("by", "events"), [*WAYS, pytest.param(("events", "tones", "info"), True, id="all")])
def test_a_key_by_any_way_takes_the_floor_once(
    bridge: RunningBridge, attentive: RunningBridge, by: tuple[str, ...], events: bool
) -> None:
    running = attentive if len(by) > 1 else bridge
    with KeyPhone(("127.0.0.1", running.sip_port)) as phone:
        phone.dial("hurdle", events=events)
        phone.rest(50)
        phone.key("7", by=by)
        phone.rest(60)
        keys, tones, told = phone.keys_back(), phone.tones_back(), account(running, phone)

    assert "77" in (keys, tones)
    assert [record["cause"] for record in told["barge_ins"]] == ["dtmf"]
    (reading,) = told["utterances"]
    assert reading["interrupted"]
    assert reading["heard"] + reading["unheard"] == agents.READING
    assert reading["heard"]
    assert told["digits"] == 1


def test_events_are_answered_under_the_number_that_was_offered(bridge: RunningBridge) -> None:
    with KeyPhone(("127.0.0.1", bridge.sip_port)) as phone:
        phone.dial("mirror", events=True)

        answer = phone.answer

    assert "a=rtpmap:97 telephone-event/8000" in answer
    assert "a=fmtp:97 0-15" in answer
    assert "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO" in answer

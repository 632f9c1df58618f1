"""sipp changes calls, acknowledges early, gives up and forgets to refresh, strictly."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e import agents
from tests.e2e.running import RunningBridge
from tests.interop.foreign import run_sipp

pytestmark = [pytest.mark.interop("sipp"), pytest.mark.timeout(120)]

SCENARIOS = Path(__file__).parent / "sipp"


def sipp(peer: str, name: str, bridge: RunningBridge, user: str, folder: Path) -> dict[str, Any]:
    """Run a scenario to its good end; returns the bridge's record of its call."""
    run_sipp(
        peer,
        SCENARIOS / name,
        folder,
        f"127.0.0.1:{bridge.sip_port}",
        "-s",
        user,
        "-m",
        "1",
        "-timeout",
        "80",
    )
    (call,) = bridge.get("/api/calls")["calls"]
    assert isinstance(call, dict)
    return call


@pytest.mark.parametrize("name", ["uac_late_prack.xml", "uac_holds.xml"])
def test_sipp_changes_its_call_and_hangs_up(peer: str, name: str, tmp_path: Path) -> None:
    with RunningBridge(agents.routes(holding="tone")) as bridge:
        call = sipp(peer, name, bridge, "holding", tmp_path)

    assert call["reason"] in ("caller hung up", "")


def test_sipp_takes_us_back_with_its_prack_before_the_answer(peer: str, tmp_path: Path) -> None:
    with RunningBridge(agents.routes(herald="tone") | {"routes.0.early_media": "true"}) as bridge:
        call = sipp(peer, "uac_prack_offer.xml", bridge, "herald", tmp_path)

    assert (call["state"], call["answered_ns"] is not None) == ("ended", True)


def test_sipp_is_put_on_hold_and_taken_back(peer: str, tmp_path: Path) -> None:
    with RunningBridge(agents.routes(holder="tone")) as bridge:
        call = sipp(peer, "uac_held.xml", bridge, "holder", tmp_path)

    assert call["direction"] == "inbound"


def test_sipp_gives_up_while_it_is_answered(peer: str, tmp_path: Path) -> None:
    settings = {**agents.routes(holding="tone"), "sip.answer_after_ms": 2000}
    with RunningBridge(settings) as bridge:
        call = sipp(peer, "uac_cancels.xml", bridge, "holding", tmp_path)

    assert call["reason"] == "caller gave up"


def test_sipp_forgets_to_refresh_its_session(peer: str, tmp_path: Path) -> None:
    settings = {**agents.routes(holding="tone"), "media.inactivity_s": 86_400}
    with RunningBridge(settings) as bridge:
        call = sipp(peer, "uac_expires.xml", bridge, "holding", tmp_path)

    assert call["reason"] == "session expired"

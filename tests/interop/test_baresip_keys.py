"""baresip presses telephone keys, and hears them pressed back."""

from pathlib import Path

import pytest

from tests.e2e import agents
from tests.e2e.running import RunningBridge
from tests.interop.network import OURS
from tests.interop.test_baresip import last_call
from tests.interop.test_baresip_transfer import LINE, steered, until

pytestmark = [pytest.mark.interop("baresip"), pytest.mark.timeout(120)]


def test_keys_of_baresip_arrive_and_are_pressed_back(
    peer: str, network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunningBridge(agents.routes(mirror="tone") | LINE) as bridge:
        with steered(peer, network, tmp_path) as order:
            order("dial", f"sip:mirror@{OURS}:5060")
            until(bridge, lambda found: found == [("inbound", "up", "")])
            order("sndcode", "42#")
            until(bridge, lambda found: found[0][1] == "ended")
        call = last_call(bridge)
    printed = capsys.readouterr().out

    assert call["digits"] == 3
    assert call["reason"] == "agent finished"
    assert call["media"]["tx_keys"] > 0
    # The hash ends the input; what came before it is pressed back.
    assert all(f"event: '{key}'" in printed for key in "42"), printed

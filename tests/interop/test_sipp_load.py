"""sipp makes a thousand calls, fifty a second, with the scenario of `sip_examples/sipp`: none fails."""

from pathlib import Path

import pytest

from tests.e2e import agents
from tests.e2e.running import RunningBridge
from tests.interop.foreign import EXAMPLES, run_sipp

pytestmark = [pytest.mark.interop("sipp"), pytest.mark.timeout(180)]

CALLS, PER_S = 1000, 50
SETTINGS = {
    # All of them have one address: five messages a call, without losses.
    "sip.max_requests_per_s": 1000,
    "sip.max_calls": 1000,
    "media.ports": "30000-30999",
    "media.standby": "false",
}


def test_a_thousand_calls_at_fifty_a_second_all_succeed(peer: str, tmp_path: Path) -> None:
    with RunningBridge(SETTINGS | agents.routes(holding="tone")) as bridge:
        printed = run_sipp(
            peer,
            EXAMPLES / "sipp" / "call.xml",
            tmp_path,
            f"127.0.0.1:{bridge.sip_port}",
            *("-s", "holding", "-m", str(CALLS), "-r", str(PER_S), "-d", "1000", "-timeout", "90"),
        )
        names = ("started_total", "ended_total", "active")
        started, ended, active = (bridge.metric(f"cosybridge_calls_{name}") for name in names)
        dropped = bridge.metric("cosybridge_sip_total", 'kind="throttled"')

    print(*(line for line in printed.splitlines()[-40:] if "Call" in line or "Time" in line), sep="\n")
    assert (started, ended, active) == (CALLS, CALLS, 0)
    assert dropped == 0

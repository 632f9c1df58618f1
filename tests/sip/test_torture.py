"""What the agent makes of messages written after RFC 4475; each lies in tests/vectors."""

from pathlib import Path

import pytest

from bridge.sip.agent import Agent, AgentSettings
from bridge.sip.events import Arrived, Datagram
from bridge.sip.layer import Send
from tests.fakes import SeededIds
from tests.sip.messages import BRIDGE_IP, PHONE

VECTORS = Path(__file__).parents[1] / "vectors"

DROPPED = 0
RINGS = 100

OUTCOMES = {
    # §3.1.1: legal, however strange
    "wsinv": RINGS, "intmeth": 501, "esc01": RINGS, "escnull": 200, "esc02": 501, "lwsdisp": 200,
    "longreq": RINGS, "dblreq": 405, "semiuri": 200, "transports": 200, "unreason": DROPPED,
    "noreason": DROPPED,
    # §3.1.2: broken
    "badinv01": DROPPED, "clerr": 400, "ncl": 400, "scalar02": 400, "scalarlg": DROPPED, "quotbal": 400,
    "ltgtruri": 400, "lwsruri": 400, "lwsstart": 400, "trws": 400, "escruri": 400, "baddate": 200,
    "regbadct": 400, "badaspec": 400, "baddn": 400, "badvers": 505, "badvers2": 505, "mismatch01": 400,
    "mismatch02": 400, "bigcode": DROPPED,
    # §3.2 to §3.4: legal, but not for everybody
    "badbranch": 200, "insuf": DROPPED, "unkscm": 416, "novelsc": 416, "unksm2": 200, "bext01": 420,
    "invut": 415,
    "multi01": 400, "mcl01": 400, "bcast": DROPPED, "zeromf": 200, "inv2543": RINGS,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(OUTCOMES))
def test_a_torture_message_gets_the_answer_it_deserves(name: str) -> None:
    agent = Agent(AgentSettings(allow=("192.0.2.0/24",)), ids=SeededIds())

    agent.receive(Datagram((VECTORS / f"{name}.sip").read_bytes(), PHONE, BRIDGE_IP), now_ns=0)

    outputs = agent.drain()
    # The answer may mirror what no parser of ours would take: look at its first line alone.
    statuses = [int(sent.data.split(b" ")[1]) for sent in outputs if isinstance(sent, Send)]
    assert statuses == ([OUTCOMES[name]] if OUTCOMES[name] else [])
    assert any(isinstance(output, Arrived) for output in outputs) is (OUTCOMES[name] == RINGS)


def test_every_vector_has_an_outcome() -> None:
    assert {path.stem for path in VECTORS.glob("*.sip")} == set(OUTCOMES)

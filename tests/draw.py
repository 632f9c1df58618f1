"""Draw the pages of `docs/` that are made from code: `python -m tests.draw` writes them."""

from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from bridge.call.path import describe
from bridge.cosyvoice.client_steps import TRANSITIONS as CLIENT
from bridge.cosyvoice.service_steps import TRANSITIONS as SERVICE
from bridge.plane.floor import TRANSITIONS as FLOOR
from bridge.sip.registration_steps import TRANSITIONS as REGISTRATION
from bridge.sip.session_states import TRANSITIONS as SESSION
from bridge.sip.transaction import TRANSITIONS as TRANSACTIONS
from bridge.speech.listening import TRANSITIONS as LISTENING

DOCS = Path(__file__).parents[1] / "docs"
NOTE = "<!-- Made by `python -m tests.draw`; a test fails when it is stale. -->\n"


def machine(title: str, table: Mapping[Any, Mapping[Any, object]]) -> Iterator[str]:
    """One state machine as a Mermaid diagram; loops are left out, they change nothing."""
    yield f"## {title}\n\n```mermaid\nstateDiagram-v2"
    for state, row in table.items():
        for event, outcome in row.items():
            target = outcome[0] if isinstance(outcome, tuple) else outcome
            assert isinstance(target, Enum)
            if target is not state:
                yield f"    {state.name} --> {target.name}: {event.name}"
    yield "```\n"


def machines() -> str:
    floor: dict[Enum, dict[Enum, object]] = {}
    for (state, event), outcome in FLOOR.items():
        floor.setdefault(state, {})[event] = outcome
    parts = [
        "# The machines\n",
        NOTE,
        "What is absent is ignored when it comes from outside, and a bug when it is our own step.\n",
    ]
    parts += machine("The floor (`bridge/plane/floor.py`)", floor)
    for kind, table in TRANSACTIONS.items():
        name = kind.name.replace("_", " ").capitalize()
        parts += machine(f"{name} transaction, {kind.value} (`bridge/sip/transaction.py`)", table)
    parts += machine("A SIP session (`bridge/sip/session.py`)", SESSION)
    parts += machine("A registration (`bridge/sip/registration_steps.py`)", REGISTRATION)
    parts += machine("A CosyVoice task at the client (`bridge/cosyvoice/client_steps.py`)", CLIENT)
    parts += machine("A CosyVoice connection at the service (`bridge/cosyvoice/service_steps.py`)", SERVICE)
    parts += machine("Hearing a caller's utterance (`bridge/speech/listening.py`)", LISTENING)
    return "\n".join(parts)


def path() -> str:
    return f"# The path of a frame\n\n{NOTE}\n```\n{describe({})}```\n"


PAGES = {"machines.md": machines, "path.md": path}


def main() -> None:
    for name, draw in PAGES.items():
        (DOCS / name).write_text(draw())


if __name__ == "__main__":
    main()

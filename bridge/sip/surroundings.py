"""What every session works with: the transactions, the ids and the place of the agent that has it."""

from dataclasses import dataclass

from bridge.ports import IdSource
from bridge.sip.dialog import LocalPlace
from bridge.sip.failover import FAILOVER_NS
from bridge.sip.layer import TransactionLayer
from bridge.sip.session_timer import DEFAULT_SESSION_TIMER, SessionTimerSettings

__all__ = ["Surroundings", "new_branch"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a session works with."""

    layer: TransactionLayer
    ids: IdSource
    place: LocalPlace
    timer: SessionTimerSettings = DEFAULT_SESSION_TIMER
    failover_ns: int = FAILOVER_NS
    """How long a server may say nothing to an INVITE while there is another one."""


def new_branch(ids: IdSource) -> str:
    """Name a transaction; the cookie says that it is unique (RFC 3261 §8.1.1.7)."""
    return "z9hG4bK" + ids.token(8)

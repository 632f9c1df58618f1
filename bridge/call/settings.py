"""What every call obeys, and who counts what becomes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bridge.call.trace import CallTrace
from bridge.ports import Recognizer
from bridge.sip.codecs import DEFAULT_CODECS
from bridge.sip.crypto import SrtpPolicy
from bridge.sip.ice import IcePolicy
from bridge.sip.security import KeyMethod
from bridge.speech.budget import Budget

__all__ = ["CallObserver", "CallSettings"]


@dataclass(frozen=True, slots=True)
class CallSettings:
    """What every call obeys."""

    inactivity_s: float = 30.0
    max_duration_s: float = 3600.0
    ring_timeout_s: float = 60.0
    """How long a call of ours may ring."""
    advertised_ip: str | None = None
    """IPv4 address in our SDP; None is the address of the route to the peer."""
    advertised_ip6: str | None = None
    """The same of IPv6."""
    recordings: Path | None = None
    """Folder for recordings; None records nothing."""
    keeps_text: bool = False
    keeps_numbers: bool = False
    """Whether the archive is told who called whom."""
    prompts: Path = Path("prompts")
    codecs: tuple[str, ...] = DEFAULT_CODECS
    """Names of what we speak, best first (`bridge.sip.codecs`)."""
    passes_opus: bool = True
    """Ask the voice for Opus where the line speaks it, and pass its packets on."""
    budget: Budget = field(default_factory=Budget)
    srtp: SrtpPolicy = "off"
    """Whether calls are encrypted."""
    srtp_keys: tuple[KeyMethod, ...] = ("sdes", "dtls")
    """Where their keys may come from; an offer of ours has the first."""
    ice: IcePolicy = "auto"
    """With whom we do ICE, as its lite end."""
    ears: Recognizer | None = None
    """Who understands what callers say; None nobody."""
    comfort_noise: bool = False
    """Say how our silence sounds instead of sending it, where the peer takes comfort noise."""


class CallObserver(Protocol):
    """Who counts; `bridge.app.metrics.Metrics` in life."""

    def call_started(self, trace: CallTrace) -> None: ...
    def call_ended(self, trace: CallTrace) -> None: ...
    def barge_in(self, stages_ms: Mapping[str, float], breached: list[str]) -> None: ...

"""How long the facade waits for what, and how much it keeps for a user who is slow."""

from dataclasses import dataclass

__all__ = ["PATIENCE", "Patience"]


@dataclass(frozen=True, slots=True)
class Patience:
    """The SDK's own times, and what it has none for."""

    connect_s: float = 5.0
    """For an open connection."""
    start_s: float = 10.0
    """For task-started."""
    last_callbacks_s: float = 1.0
    """How long a wait for completion also waits for `on_complete` and `on_close` to return."""
    most_bytes: int = 64 * 1024 * 1024
    """Undelivered above this, the socket is left unread: half an hour of telephone sound."""
    frame_bytes: int = 8 * 1024 * 1024
    """Largest frame taken: four minutes of telephone sound."""


PATIENCE = Patience()

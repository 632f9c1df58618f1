"""How long an utterance waits for a voice service that failed, and when it gives up."""

from bridge.errors import SynthesisError, ThrottledError

__all__ = ["PAUSES_S", "Patience"]

PAUSES_S = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.0)
"""The first new try is made at once: most often one connection broke, and another stands by. The rest is the
time that the embedded voice takes to come back after its process died."""

_THROTTLED_S = 0.5
"""Who asked for too much asks no sooner than this again."""

_LONGEST_NS = 10_000_000_000
"""A service that answers nothing uses up its time within the tries rather than between them."""


class Patience:
    """Pauses before the next try; they begin anew whenever some of the text has been spoken.

    Args:
        pauses_s: One for each try.
    """

    def __init__(self, pauses_s: tuple[float, ...] = PAUSES_S) -> None:
        self._pauses_s = pauses_s
        self._tries = 0
        self._since_ns = 0

    def pause_s(self, error: SynthesisError, *, has_progress: bool, now_ns: int) -> float:
        """How long to wait after a failure before the rest of the text is asked for again.

        Args:
            error: The failure.
            has_progress: Whether words were spoken since the failure before.
            now_ns: When it happened.

        Raises:
            SynthesisError: `error` itself, when trying again would not help or has gone on for too long.
        """
        if has_progress or not self._tries:
            self._tries, self._since_ns = 0, now_ns
        is_over = self._tries >= len(self._pauses_s) or now_ns - self._since_ns > _LONGEST_NS
        if is_over or not error.retryable:
            raise error
        self._tries += 1
        pause_s = self._pauses_s[self._tries - 1]
        return max(pause_s, _THROTTLED_S) if isinstance(error, ThrottledError) else pause_s

"""What a task tells its user while it runs."""

__all__ = ["ResultCallback"]


class ResultCallback:
    """Derive from this and override what you need.

    Order: `on_open`; then any mix of `on_event` and `on_data`; then `on_complete` and `on_close`, or
    `on_error` and `on_close`. `on_open` runs in the thread that starts the task, all others one after another
    in a thread of the task's own: taking one's time there delays nobody else, and every method of the
    synthesizer may be called from there.
    """

    def on_open(self) -> None:
        """The task has started; no text was sent yet."""

    def on_event(self, message: str) -> None:
        """A ``result-generated`` of the service came, as JSON text."""

    def on_data(self, data: bytes) -> None:
        """Sound came."""

    def on_complete(self) -> None:
        """All sound was delivered."""

    def on_error(self, message: str) -> None:
        """The task failed; `message` is JSON, its ``header`` has ``error_code`` and ``error_message``."""

    def on_close(self) -> None:
        """The task is over; nothing follows."""

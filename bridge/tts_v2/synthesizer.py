"""`SpeechSynthesizer`: the SDK's names, order and defaults, on `bridge.tts_v2.session`."""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.dice import SystemDice
from bridge.tts_v2.callback import ResultCallback
from bridge.tts_v2.endpoint import find_endpoint
from bridge.tts_v2.errors import InputRequired, InvalidParameterType, ModelRequired
from bridge.tts_v2.formats import AudioFormat, HotFix
from bridge.tts_v2.request import make_request
from bridge.tts_v2.session import Session

__all__ = ["SpeechSynthesizer"]

_CALLBACKS = ("on_open", "on_event", "on_data", "on_complete", "on_error", "on_close")
_dice = SystemDice()


class SpeechSynthesizer:
    """Speaks one text, or one stream of texts; make another object for the next.

    Args:
        model: E.g. ``"cosyvoice-v3-flash"``.
        voice: E.g. ``"longanyang"``.
        format: Container and rate.
        volume: 0 to 100; 50 is the voice as it is.
        speech_rate: 0.5 to 2.0.
        pitch_rate: 0.5 to 2.0.
        seed: 0 to 65535; the same seed speaks the same way.
        synthesis_type: Sent as it is.
        instruction: How to speak; at most 100 characters, a hanzi counted as two.
        language_hints: The first one counts, e.g. ``["zh"]``.
        headers: For the handshake.
        callback: Told as the sound comes; `streaming_call` needs one.
        workspace: Id of the workspace.
        url: Of the service.
        hot_fix: A `HotFix`, or a dict like it.
        additional_params: Parameters without an argument, e.g. ``{"word_timestamp_enabled": True}``.

    Raises:
        ModelRequired: If the model is missing.
        InputRequired: If the voice, the format or the key is missing.
        InvalidParameter: If a value is out of its range; `InvalidParameterType`, a subclass, if its type is
            wrong.
    """

    def __init__(  # noqa: PLR0917  the SDK's order
        self,
        model: str,
        voice: str,
        format: AudioFormat = AudioFormat.DEFAULT,
        volume: int = 50,
        speech_rate: float = 1.0,
        pitch_rate: float = 1.0,
        seed: int = 0,
        synthesis_type: int = 0,
        instruction: str | None = None,
        language_hints: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
        callback: ResultCallback | None = None,
        workspace: str | None = None,
        url: str | None = None,
        hot_fix: HotFix | Mapping[str, Any] | None = None,
        additional_params: Mapping[str, Any] | None = None,
    ) -> None:
        if model is None:
            raise ModelRequired("Model is required!")
        if format is None:
            raise InputRequired("format is required!")
        request = make_request(
            _dice.token(),
            find_endpoint(url, headers, workspace),
            model,
            format,
            {
                "voice": voice,
                "volume": volume,
                "rate": speech_rate,
                "pitch": pitch_rate,
                "seed": seed,
                "type": synthesis_type,
                "instruction": instruction,
                "language_hints": language_hints,
            },
            hot_fix=hot_fix,
            additional_params=additional_params,
        )
        has_methods = all(callable(getattr(callback, name, None)) for name in _CALLBACKS)
        if callback is not None and (isinstance(callback, type) or not has_methods):
            raise InvalidParameterType(f"callback must be a ResultCallback, not {callback!r:.60}")
        self.session: Session = Session(request, callback)
        """For the pool; no part of what the SDK documents."""

    def __str__(self) -> str:
        model, given = self.session.request.model, self.session.request.parameters
        container = "mp3" if given["format"] == "Default" else given["format"]
        return (
            f"[SpeechSynthesizer {hash(self)} desc] model:{model}, voice:{given['voice']}, "
            f"format:{container}, sample_rate:{given['sample_rate'] or 22050}, "
            f"connected:{self.session.is_connected}"
        )

    def call(self, text: str, timeout_millis: float | None = None) -> bytes | None:
        """Speak a whole text, plain or SSML.

        Without a callback: wait and return the sound, None if there was none. With one: return None as soon
        as the text is sent; what does not end in time then ends with `on_error`.

        Args:
            text: At most 20,000 characters, a hanzi counted as two and tags not at all.
            timeout_millis: None or 0 waits as long as it takes.

        Raises:
            RequestFailure: If the service fails the task.
            StartFailed: If it cannot be reached or refuses the connection.
            ConnectionLost: If the connection ends before the task does.
            TimeoutError: If it takes longer.
            InvalidTask: If the object is speaking.
            ConnectionError: If the object has spoken.
        """
        return self.session.call(text, timeout_millis)

    def streaming_call(self, text: str) -> None:
        """Send a part of the text; the first part starts the task.

        Raises:
            InputRequired: If there is no callback.
            InvalidTask: If the task is over.
            ConnectionLost: If the task has failed, or its connection has ended.
        """
        self.session.say(text)

    def streaming_flush(self) -> None:
        """Ask for what the service holds back to be spoken now."""
        self.session.flush()

    def streaming_complete(self, complete_timeout_millis: float | None = 600000) -> None:
        """End the text and wait until all was delivered.

        Args:
            complete_timeout_millis: None or 0 waits as long as it takes.

        Raises:
            TimeoutError: If it takes longer; the connection is closed then.
            ConnectionLost: If the connection ends. A task-failed is told to the callback alone.
        """
        if self.session.finish():
            self.session.await_end(complete_timeout_millis)

    def async_streaming_complete(self, complete_timeout_millis: float | None = 600000) -> None:
        """End the text and return; `on_close` tells when all was delivered, `on_error` if it was not."""
        if self.session.finish():
            self.session.expect_end(complete_timeout_millis)

    def streaming_cancel(self, complete_timeout_millis: float | None = 10000) -> None:
        """End the task now; what was not delivered is dropped. Inside of a callback, too.

        Args:
            complete_timeout_millis: How long the service may take to confirm before the connection is closed.
        """
        self.session.cancel(complete_timeout_millis)

    def close(self) -> None:
        """Close the connection; a task that still runs ends with `on_close`."""
        self.session.close()

    def get_last_request_id(self) -> str:
        """The id of the task, known from the start."""
        return self.session.request.task_id

    def get_first_package_delay(self) -> float:
        """Milliseconds from the start, connecting included, to the first sound; 0 before any has come."""
        return self.session.first_audio_delay_ms

    def get_response(self) -> dict[str, Any] | None:
        """The last message of the service, None before there is one."""
        task = self.session.task
        return None if task is None else task.last_message

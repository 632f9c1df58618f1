"""What the CosyVoice service allows, and what it says when it refuses."""

from dataclasses import dataclass

__all__ = [
    "BAD_PAYLOAD",
    "EMPTY_TEXT",
    "IDLE_NS",
    "INSTRUCTION_CHARACTERS",
    "INVALID_PARAMETER",
    "MESSAGE_CHARACTERS",
    "MODEL_NOT_FOUND",
    "NO_SSML",
    "NO_VOICE",
    "RATE_QUOTA",
    "SECOND_SSML",
    "SHUTTING_DOWN",
    "SILENCE_NS",
    "SILENT_CLIENT",
    "TASK_CHARACTERS",
    "UNKNOWN_VOICE",
    "Refusal",
    "too_long",
]

MESSAGE_CHARACTERS = 20_000
"""Counted characters in one continue-task."""

TASK_CHARACTERS = 200_000
"""Counted characters in one task."""

INSTRUCTION_CHARACTERS = 100

SILENCE_NS = 23_000_000_000
"""A running task in which the client sends nothing for longer fails."""

IDLE_NS = 60_000_000_000
"""A connection without a task for longer is closed."""

INVALID_PARAMETER = "InvalidParameter"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The two texts of a task-failed."""

    code: str
    message: str


UNKNOWN_VOICE = Refusal(INVALID_PARAMETER, "[tts:]Engine return error code: 418")
"""Also said when the voice belongs to another generation than the model."""

NO_VOICE = Refusal(INVALID_PARAMETER, "Request voice is invalid!")
EMPTY_TEXT = Refusal(INVALID_PARAMETER, "Please ensure input text is valid.")
NO_SSML = Refusal(INVALID_PARAMETER, "SSML text is not supported at the moment!")
"""The model or the voice has none, or ``enable_ssml`` was not set."""

SECOND_SSML = Refusal(INVALID_PARAMETER, "Text request limit violated, expected 1.")
BAD_PAYLOAD = Refusal(INVALID_PARAMETER, "Invalid payload data")
RATE_QUOTA = Refusal("Throttling.RateQuota", "Requests rate limit exceeded, please try again later.")
SHUTTING_DOWN = Refusal("ServiceUnavailable", "The service is shutting down.")
MODEL_NOT_FOUND = Refusal("ModelNotFound", "Model not found")
SILENT_CLIENT = Refusal("CLIENT_ERROR", "request timeout after 23 seconds.")


def too_long(what: str, length: int, allowed: int) -> Refusal:
    """Refuse a text by its counted characters."""
    return Refusal(INVALID_PARAMETER, f"The {what} has {length} characters, {allowed} are allowed")

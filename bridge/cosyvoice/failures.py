"""What a failure means for who asked: which error it is, and whether asking again can help."""

import json

from bridge.cosyvoice.client_steps import Failed
from bridge.errors import (
    AuthenticationError,
    ConnectionLostError,
    InvalidRequestError,
    ServiceError,
    SynthesisError,
    SynthesisTimeoutError,
    ThrottledError,
)

__all__ = ["BUSY", "CLOSED", "REFUSED", "TIMEOUT", "is_retryable", "refused", "to_error"]

CLOSED = "Closed"
"""The connection could not be opened, or broke."""
REFUSED = "Refused"
"""The handshake was answered with another status than 101, and no code of the service's own."""
TIMEOUT = "Timeout"
BUSY = "Busy"
"""Our own bound on connections, not the service's."""

_UNAUTHORISED = (401, 403)
_TOO_MANY = 429
_SERVERS_FAULT = 500
_BODY_BYTES = 65_536

# The service's codes come with suffixes, ``Throttling.RateQuota``: the first match by prefix counts.
_KINDS: tuple[tuple[str, type[SynthesisError], bool], ...] = (
    (CLOSED, ConnectionLostError, True),
    (TIMEOUT, SynthesisTimeoutError, True),
    (BUSY, ThrottledError, True),
    ("Throttling", ThrottledError, True),
    ("InvalidApiKey", AuthenticationError, False),
    ("AccessDenied", AuthenticationError, False),
    ("Arrearage", AuthenticationError, False),
    ("Model.AccessDenied", AuthenticationError, False),
    ("Workspace.AccessDenied", AuthenticationError, False),
    ("AllocationQuota", AuthenticationError, False),
    ("InvalidParameter", InvalidRequestError, False),
    ("ModelNotFound", InvalidRequestError, False),
    ("DataInspectionFailed", InvalidRequestError, False),
    ("InternalError", ServiceError, True),
    ("ServiceUnavailable", ServiceError, True),
    ("ModelUnavailable", ServiceError, True),
    ("RequestTimeOut", ServiceError, True),
    ("ResponseTimeout", ServiceError, True),
    # "request timeout after 23 seconds": on a new task the text is spoken all the same.
    ("CLIENT_ERROR", SynthesisTimeoutError, True),
)


def is_retryable(code: str) -> bool:
    """Whether a task that failed with `code` may succeed on a new connection."""
    return any(retryable for prefix, _, retryable in _KINDS if code.startswith(prefix))


def refused(url: str, status: int, body: bytes = b"", *, key: str = "") -> Failed:
    """What an HTTP answer other than the wanted one means.

    Args:
        url: Who answered.
        status: How.
        body: Its first 64 kB are read; a JSON object may tell ``code``, ``message`` and ``request_id``.
        key: What the answer must not repeat.
    """
    code, told, request_id = _read(body[:_BODY_BYTES])
    message = f"{url} answered {status}"
    if status in _UNAUTHORISED:
        message += ": set tts.api_key or DASHSCOPE_API_KEY to a valid key"
    if told:
        message += f" ({code}: {told})" if code else f" ({told})"
    if key:
        message = message.replace(key, "***")
    retryable = status == _TOO_MANY or status >= _SERVERS_FAULT
    return Failed(code or REFUSED, message, retryable, status=status, request_id=request_id)


def _read(body: bytes) -> tuple[str, str, str]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return "", "", ""
    if not isinstance(told, dict):
        return "", "", ""
    code, message, request_id = (told.get(name) for name in ("code", "message", "request_id"))
    return _line(code, 80), _line(message, 200), _line(request_id, 80)


def _line(value: object, longest: int) -> str:
    """What a stranger says, fit for a log: one line, printable, not too long."""
    if not isinstance(value, str):
        return ""
    return "".join(character if character.isprintable() else " " for character in value[:longest])


def to_error(failure: Failed) -> SynthesisError:
    """The exception that says all that `failure` says."""
    return _kind(failure)(
        failure.message,
        code=failure.code,
        retryable=failure.retryable,
        status=failure.status,
        request_id=failure.request_id,
        stage=failure.stage,
    )


def _kind(failure: Failed) -> type[SynthesisError]:
    for prefix, kind, _ in _KINDS:
        if failure.code.startswith(prefix):
            return kind
    if failure.status in _UNAUTHORISED:
        return AuthenticationError
    if failure.status == _TOO_MANY:
        return ThrottledError
    if failure.status >= _SERVERS_FAULT:
        return ServiceError
    return InvalidRequestError if failure.status else SynthesisError

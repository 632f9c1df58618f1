"""A handshake that was refused, in the SDK's terms."""

import json

from bridge.aio.websocket import RefusedError
from bridge.tts_v2.errors import TASK_ERROR, StartFailed

__all__ = ["start_failed"]


def start_failed(refusal: RefusedError) -> StartFailed:
    """What is raised for an answer that is no switch to WebSocket; tells the service's own code and words."""
    code, message, request_id = _reason(refusal.body)
    if message is None:
        message = f"the service answered {refusal.status} {refusal.reason}".rstrip()
    # A success that is no switch is a failure all the same.
    http_code = refusal.status if refusal.status >= 300 else TASK_ERROR
    return StartFailed(request_id=request_id, message=message, name=code or "Refused", http_code=http_code)


def _reason(said: bytes) -> tuple[str | None, str | None, str | None]:
    try:
        body = json.loads(said)
    except (ValueError, RecursionError):
        return None, None, None
    given = [body.get(key) for key in ("code", "message", "request_id")] if isinstance(body, dict) else []
    code, message, request_id = [value if isinstance(value, str) else None for value in given] or [None] * 3
    return code, message, request_id

"""What the facade raises: the SDK's names and texts, and two for what the SDK does not notice.

TtsError
├── InputRequired           an argument or the key is missing
├── ModelRequired           the model is missing
├── InvalidTask             a method was called out of turn
├── InvalidParameter        a value is out of its documented range (also a ValueError)
│   └── InvalidParameterType    a value has the wrong type (also a TypeError)
└── RequestFailure          the service said task-failed
    ├── ConnectionLost      the connection ended before the task did (also a ConnectionError)
    └── StartFailed         no task came about (also a ConnectionError and a TimeoutError)

Where the SDK is loaded beside us, every error is also an instance of the SDK's class of the same name, so
that ``except dashscope.common.error.InvalidTask`` goes on working.
"""

# ruff: noqa: N818  the names are the SDK's

import sys
from typing import Self, cast

from bridge.errors import BridgeError

__all__ = [
    "TASK_ERROR",
    "ConnectionLost",
    "InputRequired",
    "InvalidParameter",
    "InvalidParameterType",
    "InvalidTask",
    "ModelRequired",
    "RequestFailure",
    "StartFailed",
    "TtsError",
]

TASK_ERROR = 44
"""What the SDK gives as ``http_code`` of everything that went wrong on an open socket."""

_SDK_ERRORS = "dashscope.common.error"


class TtsError(BridgeError):
    """Root of the facade's errors."""

    def __new__(cls, *args: object, **details: object) -> Self:
        del details  # for __init__ alone
        return cast("Self", super().__new__(_twin(cls), *args))

    def __reduce__(self) -> tuple[type[Exception], tuple[object, ...], dict[str, object]]:
        # A twin has no name that pickle could find it by.
        return next(kind for kind in type(self).__mro__ if not _is_twin(kind)), self.args, self.__dict__


class InputRequired(TtsError):
    """Something that cannot be done without is missing."""


class ModelRequired(TtsError):
    """The model is missing."""


class InvalidTask(TtsError):
    """The method does not fit what the object is doing."""


class InvalidParameter(TtsError, ValueError):
    """A value is outside of its documented range; nothing was sent."""


class InvalidParameterType(InvalidParameter, TypeError):
    """A value has the wrong type; nothing was sent."""


class RequestFailure(TtsError):
    """The service failed the task.

    Attributes:
        request_id: The task's id, or the service's own where it refused the connection and named one.
        message: What the service says.
        name: The service's error code, or ``"Closed"``, ``"Timeout"``, ``"Refused"``, ``"Unreachable"``.
        http_code: `TASK_ERROR`, or the HTTP status of a refused connection.
    """

    def __init__(
        self,
        request_id: str | None = None,
        message: str | None = None,
        name: str | None = None,
        http_code: int | None = None,
    ) -> None:
        self.request_id: str | None = request_id
        self.message: str | None = message
        self.name: str | None = name
        self.http_code: int | None = http_code

    def __str__(self) -> str:
        return (
            f"Request failed, request_id: {self.request_id}, http_code: {self.http_code} "
            f"error_name: {self.name}, error_message: {self.message}"
        )


class ConnectionLost(RequestFailure, ConnectionError):
    """The connection ended before the task did, or the task it carried has failed."""


class StartFailed(RequestFailure, ConnectionError, TimeoutError):
    """The service could not be reached, refused the connection or closed it before the task started.

    Also a TimeoutError: that is what the SDK raises for all of these, after five or ten seconds.
    """


def _is_twin(kind: type) -> bool:
    return "_is_twin" in vars(kind)


def _twin(kind: type[TtsError]) -> type[TtsError]:
    """The class to raise for `kind`: itself, or one that is also the SDK's of the same name."""
    sdk = sys.modules.get(_SDK_ERRORS)
    if sdk is None or _is_twin(kind):
        return kind
    for ours in kind.__mro__:
        theirs = getattr(sdk, ours.__name__, None) if ours.__module__ == __name__ else None
        if isinstance(theirs, type) and issubclass(theirs, Exception):
            twin = _TWINS.get((kind, theirs))
            return twin or _TWINS.setdefault((kind, theirs), _joined(kind, theirs))
    return kind


def _joined(ours: type[TtsError], theirs: type[Exception]) -> type[TtsError]:
    names = {"__module__": ours.__module__, "__qualname__": ours.__qualname__, "__doc__": ours.__doc__}
    return type(ours.__name__, (ours, theirs), names | {"_is_twin": True})


_TWINS: dict[tuple[type[TtsError], type[Exception]], type[TtsError]] = {}

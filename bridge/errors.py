"""Every exception this package raises on purpose.

BridgeError
├── ProtocolError           a specification was broken
│   ├── LocalProtocolError  by our own caller: a bug, never retried
│   └── RemoteProtocolError by the peer: drop, count, keep the call
├── NegotiationError        both sides legal, nothing in common
├── SynthesisError          the voice failed; says whether a retry can help
│   ├── AuthenticationError    the key, or what it is allowed to do
│   ├── InvalidRequestError    the text, the voice or a parameter: the same request fails again
│   ├── ThrottledError         too much at a time: later, or with more connections
│   ├── ServiceError           the service failed by itself
│   ├── ConnectionLostError    it cannot be reached, or the connection broke
│   └── SynthesisTimeoutError  something did not come in time; says what
├── RecognitionError        what the caller said could not be written down; the call goes on
├── CallEnded               the call is over; whoever still speaks to it may stop
├── ConfigError             a setting is wrong; names the file, the key and a fix
├── SetupError              the machine refuses: a port is taken, a file cannot be read
└── EngineError             the media process is gone or has no room for another leg
"""

__all__ = [
    "AuthenticationError",
    "BridgeError",
    "CallEnded",
    "ConfigError",
    "ConnectionLostError",
    "EngineError",
    "InvalidRequestError",
    "LocalProtocolError",
    "NegotiationError",
    "ProtocolError",
    "RecognitionError",
    "RemoteProtocolError",
    "ServiceError",
    "SetupError",
    "SynthesisError",
    "SynthesisTimeoutError",
    "ThrottledError",
]


class BridgeError(Exception):
    """Root of the tree; catch this to isolate one failing call."""


class ProtocolError(BridgeError):
    """A specification was broken.

    Attributes:
        rule: Where the broken rule is written, e.g. ``"RFC 3550 §5.1"``, or
            ``""`` when the rule is our own.
    """

    def __init__(self, message: str, *, rule: str = "") -> None:
        super().__init__(f"{message} ({rule})" if rule else message)
        self.rule: str = rule


class LocalProtocolError(ProtocolError):
    """Our side asked for an illegal step."""


class RemoteProtocolError(ProtocolError):
    """The peer sent an illegal message."""


class NegotiationError(BridgeError):
    """Offer and answer share nothing usable."""


class SynthesisError(BridgeError):
    """The voice failed before or part-way through a task.

    Attributes:
        code: The service's own code, e.g. ``"InvalidParameter"``, or one of ours: ``"Refused"``
            (the handshake), ``"Closed"`` (the connection), ``"Timeout"``, ``"Busy"``.
        message: What happened, without the code.
        retryable: Whether the same request may succeed on a new connection.
        status: HTTP status of a refused handshake; 0 where there was none.
        request_id: The service's name for the refused request, for its support; often empty.
        stage: What was being waited for when time ran out: ``"handshake"``, ``"connection"``,
            ``"start"``, ``"text"``, ``"first-sound"``, ``"sound"``, ``"task"``; else empty.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        retryable: bool,
        status: int = 0,
        request_id: str = "",
        stage: str = "",
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code: str = code
        self.message: str = message
        self.retryable: bool = retryable
        self.status: int = status
        self.request_id: str = request_id
        self.stage: str = stage


class AuthenticationError(SynthesisError):
    """The key is wrong, has expired, or may not do this."""


class InvalidRequestError(SynthesisError):
    """The text, the voice or a parameter is refused, by the service or by us before anything was sent."""


class ThrottledError(SynthesisError):
    """Too much was asked for at a time."""


class ServiceError(SynthesisError):
    """The service failed by itself."""


class ConnectionLostError(SynthesisError):
    """The service cannot be reached, or went away in mid-task."""


class SynthesisTimeoutError(SynthesisError):
    """Something did not come in time; `stage` says what."""


class RecognitionError(BridgeError):
    """An utterance could not be recognised.

    Attributes:
        code: The service's own code, or one of ours as in `SynthesisError`.
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code: str = code


class CallEnded(BridgeError):  # noqa: N818  an ending is an event, not a fault
    """The call is over.

    Attributes:
        reason: Why, in a word or two: ``"caller hung up"``, ``"no media"``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the call has ended: {reason}")
        self.reason: str = reason


class ConfigError(BridgeError):
    """A setting is wrong; the message names where it stands and what would be right."""


class SetupError(BridgeError):
    """The machine refuses what start-up needs; the message names the fix."""


class EngineError(BridgeError):
    """The media process cannot carry this leg, now or any more."""

"""Every exception this package raises on purpose.

BridgeError
├── ProtocolError           a specification was broken
│   ├── LocalProtocolError  by our own caller: a bug, never retried
│   └── RemoteProtocolError by the peer: drop, count, keep the call
├── NegotiationError        both sides legal, nothing in common
├── SynthesisError          the voice failed; says whether a retry can help
├── CallEnded               the call is over; whoever still speaks to it may stop
├── ConfigError             a setting is wrong; names the file, the key and a fix
├── SetupError              the machine refuses: a port is taken, a file cannot be read
└── EngineError             the media process is gone or has no room for another leg
"""

__all__ = [
    "BridgeError",
    "CallEnded",
    "ConfigError",
    "EngineError",
    "LocalProtocolError",
    "NegotiationError",
    "ProtocolError",
    "RemoteProtocolError",
    "SetupError",
    "SynthesisError",
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
        code: The service's own code, e.g. ``"InvalidParameter"``, or one of ours
            for a failure of the connection: ``"Refused"``, ``"Closed"``, ``"Timeout"``.
        retryable: Whether the same request may succeed on a new connection.
    """

    def __init__(self, message: str, *, code: str, retryable: bool) -> None:
        super().__init__(f"{code}: {message}")
        self.code: str = code
        self.retryable: bool = retryable


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

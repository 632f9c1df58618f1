"""Speech for live calls: a phone or a browser on one side, CosyVoice on the other.

    from bridge import Call, serve

    async def agent(call: Call) -> None:
        await call.say("Hello. Interrupt me whenever you like.")

    serve(agent)

Names are loaded when they are first used (PEP 562), so that the media process never loads what
only signalling needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.app.server import serve_agent as serve
    from bridge.call.agent import Agent, Call
    from bridge.call.hearing import CallEvent
    from bridge.call.turns import Said
    from bridge.errors import BridgeError, SynthesisError
    from bridge.plane.events import Digit, Ducked, Flushed, Resumed, VoiceStarted, VoiceStopped

__all__ = [
    "Agent",
    "BridgeError",
    "Call",
    "CallEvent",
    "Digit",
    "Ducked",
    "Flushed",
    "Resumed",
    "Said",
    "SynthesisError",
    "VoiceStarted",
    "VoiceStopped",
    "serve",
]

_HOMES = {
    "Agent": "bridge.call.agent",
    "BridgeError": "bridge.errors",
    "Call": "bridge.call.agent",
    "CallEvent": "bridge.call.hearing",
    "Digit": "bridge.plane.events",
    "Ducked": "bridge.plane.events",
    "Flushed": "bridge.plane.events",
    "Resumed": "bridge.plane.events",
    "Said": "bridge.call.turns",
    "SynthesisError": "bridge.errors",
    "VoiceStarted": "bridge.plane.events",
    "VoiceStopped": "bridge.plane.events",
    "serve": "bridge.app.server",
}
_RENAMED = {"serve": "serve_agent"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), _RENAMED.get(name, name))

"""Speech for live calls: a phone or a browser on one side, CosyVoice on the other.

    from bridge import Call, serve

    async def agent(call: Call) -> None:
        await call.say("Hello. Interrupt me whenever you like.")

    serve(agent)

The voice alone, without a call:

    async with CosyVoice() as tts:
        async for chunk in tts.stream("Hello there."):
            play(chunk.data)

Names are loaded when they are first used (PEP 562), so that the media process never loads what
only signalling needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.aio.cosyvoice import CosyVoice, SpeechStream
    from bridge.aio.cosyvoice_tokens import TemporaryTokens
    from bridge.aio.sip_transfer import TransferResult
    from bridge.app.server import dial
    from bridge.app.server import serve_agent as serve
    from bridge.call.agent import Agent, Call
    from bridge.call.hearing import CallerWords, CallEvent, Text
    from bridge.call.turns import Said
    from bridge.cosyvoice.client_patience import Deadlines
    from bridge.errors import (
        AuthenticationError,
        BridgeError,
        ConfigError,
        ConnectionLostError,
        InvalidRequestError,
        ServiceError,
        SynthesisError,
        SynthesisTimeoutError,
        ThrottledError,
    )
    from bridge.plane.events import Digit, Ducked, Flushed, Resumed, VoiceStarted, VoiceStopped
    from bridge.ports import SpeechChunk, WordTime

__all__ = [
    "Agent",
    "AuthenticationError",
    "BridgeError",
    "Call",
    "CallEvent",
    "CallerWords",
    "ConfigError",
    "ConnectionLostError",
    "CosyVoice",
    "Deadlines",
    "Digit",
    "Ducked",
    "Flushed",
    "InvalidRequestError",
    "Resumed",
    "Said",
    "ServiceError",
    "SpeechChunk",
    "SpeechStream",
    "SynthesisError",
    "SynthesisTimeoutError",
    "TemporaryTokens",
    "Text",
    "ThrottledError",
    "TransferResult",
    "VoiceStarted",
    "VoiceStopped",
    "WordTime",
    "dial",
    "serve",
]

_HOMES = {
    "Agent": "bridge.call.agent",
    "AuthenticationError": "bridge.errors",
    "BridgeError": "bridge.errors",
    "Call": "bridge.call.agent",
    "CallEvent": "bridge.call.hearing",
    "CallerWords": "bridge.call.hearing",
    "ConfigError": "bridge.errors",
    "ConnectionLostError": "bridge.errors",
    "CosyVoice": "bridge.aio.cosyvoice",
    "Deadlines": "bridge.cosyvoice.client_patience",
    "Digit": "bridge.plane.events",
    "Ducked": "bridge.plane.events",
    "Flushed": "bridge.plane.events",
    "InvalidRequestError": "bridge.errors",
    "Resumed": "bridge.plane.events",
    "Said": "bridge.call.turns",
    "ServiceError": "bridge.errors",
    "SpeechChunk": "bridge.ports",
    "SpeechStream": "bridge.aio.cosyvoice",
    "SynthesisError": "bridge.errors",
    "SynthesisTimeoutError": "bridge.errors",
    "TemporaryTokens": "bridge.aio.cosyvoice_tokens",
    "Text": "bridge.call.hearing",
    "ThrottledError": "bridge.errors",
    "TransferResult": "bridge.aio.sip_transfer",
    "VoiceStarted": "bridge.plane.events",
    "VoiceStopped": "bridge.plane.events",
    "WordTime": "bridge.ports",
    "dial": "bridge.app.server",
    "serve": "bridge.app.server",
}
_RENAMED = {"serve": "serve_agent"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), _RENAMED.get(name, name))

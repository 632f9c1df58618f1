"""Drop-in for `dashscope.audio.tts_v2`: change one import line and keep the rest of the script.

    from bridge.tts_v2 import *      # instead of: from dashscope.audio.tts_v2 import *

What differs from the SDK, and why, is one table in `docs/sdk.md`. The key and the address are found where
the SDK finds them; `api_key` and `base_websocket_api_url` of this module come first when they are set.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.tts_v2.callback import ResultCallback
    from bridge.tts_v2.errors import (
        ConnectionLost,
        InputRequired,
        InvalidParameter,
        InvalidTask,
        ModelRequired,
        RequestFailure,
        StartFailed,
    )
    from bridge.tts_v2.formats import AudioFormat, HotFix
    from bridge.tts_v2.pool import SpeechSynthesizerObjectPool
    from bridge.tts_v2.synthesizer import SpeechSynthesizer

__all__ = [
    "AudioFormat",
    "ConnectionLost",
    "HotFix",
    "InputRequired",
    "InvalidParameter",
    "InvalidTask",
    "ModelRequired",
    "RequestFailure",
    "ResultCallback",
    "SpeechSynthesizer",
    "SpeechSynthesizerObjectPool",
    "StartFailed",
]

api_key: str | None = None
"""Key of the service; None asks a loaded `dashscope`, then the environment."""

base_websocket_api_url: str | None = None
"""Address of the service, ``{workspace_id}`` allowed; None asks as for the key."""

_HOMES = {
    "AudioFormat": "formats",
    "ConnectionLost": "errors",
    "HotFix": "formats",
    "InputRequired": "errors",
    "InvalidParameter": "errors",
    "InvalidTask": "errors",
    "ModelRequired": "errors",
    "RequestFailure": "errors",
    "ResultCallback": "callback",
    "SpeechSynthesizer": "synthesizer",
    "SpeechSynthesizerObjectPool": "pool",
    "StartFailed": "errors",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

"""Both roles of a CosyVoice task in one place: the service's and the client's."""

from bridge.cosyvoice.client import ClientTask
from bridge.cosyvoice.client_patience import ClientPatience
from bridge.cosyvoice.client_steps import ClientState, Ended, Failed, Freed, Sound, Yield
from bridge.cosyvoice.service import ServerTask
from bridge.cosyvoice.service_steps import (
    Abandon,
    Audio,
    Begin,
    Close,
    End,
    Flush,
    Output,
    Speak,
    TaskState,
)

__all__ = [
    "Abandon",
    "Audio",
    "Begin",
    "ClientPatience",
    "ClientState",
    "ClientTask",
    "Close",
    "End",
    "Ended",
    "Failed",
    "Flush",
    "Freed",
    "Output",
    "ServerTask",
    "Sound",
    "Speak",
    "TaskState",
    "Yield",
]

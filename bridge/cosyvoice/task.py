"""Both roles of a CosyVoice task in one place: the service's and the client's."""

from bridge.cosyvoice.client import ClientTask
from bridge.cosyvoice.client_patience import ClientPatience
from bridge.cosyvoice.client_steps import ClientState, Ended, Failed, Freed, Sound, Yield
from bridge.cosyvoice.listening import HearingPatience, HearingTask, HearingYield, Listen, Understood
from bridge.cosyvoice.service import ServerTask
from bridge.cosyvoice.service_steps import (
    Abandon,
    Audio,
    Begin,
    BeginHearing,
    Close,
    End,
    Flush,
    Hear,
    Output,
    Speak,
    TaskState,
)

__all__ = [
    "Abandon",
    "Audio",
    "Begin",
    "BeginHearing",
    "ClientPatience",
    "ClientState",
    "ClientTask",
    "Close",
    "End",
    "Ended",
    "Failed",
    "Flush",
    "Freed",
    "Hear",
    "HearingPatience",
    "HearingTask",
    "HearingYield",
    "Listen",
    "Output",
    "ServerTask",
    "Sound",
    "Speak",
    "TaskState",
    "Understood",
    "Yield",
]

"""The default agent: it greets, explains the bridge, and can be interrupted and typed at."""

import re

from bridge.call.agent import Call
from bridge.call.turns import Said

__all__ = ["guide"]

GREETING = "Hello, this is the cosy bridge."
TOUR = (
    "You are talking to a bridge between telephone calls and streaming speech. "
    "What you hear is made while I speak, one clause after the other. "
    "Please interrupt me whenever you like, and I will stop at once. "
    "I remember exactly which words have reached you, and which ones have not. "
    "A short noise, such as a door, only makes me pause. "
    "You can also press any digit, and I will read it back to you. "
    "Now it is your turn."
)
GOODBYE = "Thank you for calling. Goodbye."

_LISTEN_S = 20.0
_KEY_HELD_S = 5.0
"""The flush comes when a key goes down, its digit when it comes up."""
_SENTENCE = re.compile(r"[^.!?]*[.!?]\s*")


async def guide(call: Call) -> None:
    """Greet, give the tour, read digits back, say goodbye after 20 s without a digit."""
    said = await call.say(call.greeting or GREETING)
    if said.interrupted:
        await _listen(call, said)
    rest = TOUR
    while rest:
        said = await call.say(rest)
        rest = said.unheard
        if said.interrupted:
            await _listen(call, said)
            await call.say(_recap(said.heard))
    while await _read_back(call, timeout_s=_LISTEN_S):
        pass
    await call.say(GOODBYE)


async def _listen(call: Call, said: Said) -> None:
    """Let the caller finish, be it a sentence or a key."""
    await _read_back(call, timeout_s=_KEY_HELD_S if said.cause == "dtmf" else 0)
    await call.quiet(lasting_ms=500)


async def _read_back(call: Call, *, timeout_s: float) -> bool:
    digits = await call.digits(max_digits=1, timeout_s=timeout_s, terminator="")
    if digits:
        name = {"*": "star", "#": "hash"}.get(digits, digits)
        await call.say(f"You pressed {name}.")
    return bool(digits)


def _recap(heard: str) -> str:
    """Say what of the interrupted sentence was heard."""
    sentence = _SENTENCE.sub("", heard).strip(" ,.;:")
    if not sentence:
        return "You stopped me between two sentences. I will go on."
    return f"You heard me say: {sentence}. I will go on."

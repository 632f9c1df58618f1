"""An answering machine: a message becomes a WAV file, whole even if the caller just hangs up.

    .venv/bin/python sip_examples/06_record_a_message.py

Files go to MESSAGES, or the folder "messages"; only you can read them. Callers must be told, and they are.
"""

import os
from pathlib import Path

from bridge import Call, serve

FOLDER = Path(os.environ.get("MESSAGES", "messages"))


async def agent(call: Call) -> None:
    """Ask for a message, record it, say how long it was."""
    await call.say(
        "Nobody is here right now. Your message will be recorded. Press the hash key when you have finished.",
        interruptible="none",
    )
    path = FOLDER / f"{call.id}.wav"
    try:
        length_s = await call.record(path, max_s=120, silence_s=4)
    finally:
        print(f"message from {call.caller_name or call.caller}: {path}")
    await call.say(f"Thank you. Your message is {round(length_s)} seconds long.")


if __name__ == "__main__":
    raise SystemExit(serve(agent))

"""Understand callers: say back what they say, until they say goodbye.

    .venv/bin/python sip_examples/08_say_it_back.py

Call sip:anything@127.0.0.1:5060 and talk. Where the embedded voice speaks, it also understands; that needs
pip install "cosybridge[ears]". With a key of the cloud, the cloud does. Callers must be told where the law
says so, and they are.
"""

import sys

from bridge import Call, serve


async def agent(call: Call) -> None:
    """Repeat each sentence; leave at a goodbye."""
    heard = call.words()  # from now on, also while we speak
    await call.say("Tell me something. What you say is written down.", interruptible="none")
    async for words in heard:
        if not words.is_final:
            continue  # more of the sentence is still to come
        await call.say(f"You said: {words.text}")
        if "goodbye" in words.text.lower():
            break


if __name__ == "__main__":
    raise SystemExit(serve(agent, arguments=["--set=ears.enabled=true", *sys.argv[1:]]))

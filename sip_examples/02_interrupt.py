"""Talk until the caller interrupts, then print what was heard and how fast each stage was.

    .venv/bin/python sip_examples/02_interrupt.py

Call sip:anything@127.0.0.1:5060 and talk over the voice.
"""

from bridge import Call, serve

STORY = (
    "Once upon a time there was a telephone that never stopped talking. "
    "It talked in the morning, and it talked at night, and nobody could get a word in. "
    "Then one day somebody said stop, and it stopped, because it had been listening all along."
)


async def agent(call: Call) -> None:
    """Tell a story; when interrupted, say what was heard of it."""
    said = await call.say(STORY)
    if not said.interrupted:
        await call.say("You are a patient listener. Goodbye.")
        return
    await call.quiet(lasting_ms=500)
    last_words = " ".join(said.heard.split()[-3:])
    await call.say(f"I stopped after: {last_words}. Goodbye.", interruptible="none")
    print(f"heard {len(said.heard.split())} words, unheard {len(said.unheard.split())} words")
    for stage, took_ms in call.barge_in_ms.items():
        print(f"{stage:<12} {took_ms:7.1f} ms")


if __name__ == "__main__":
    raise SystemExit(serve(agent))

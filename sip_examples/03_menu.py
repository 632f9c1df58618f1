"""Let callers choose by a key, and understand them when they are impatient.

    .venv/bin/python sip_examples/03_menu.py

Call sip:anything@127.0.0.1:5060 and press 1, 2 or 0, at any time.
"""

from bridge import Call, serve

MENU = "For our opening hours, press 1. For our address, press 2. To hear this again, press 0."
ANSWERS = {
    "1": "We are open from nine to five, Monday to Friday.",
    "2": "You find us at twelve Market Street, on the second floor.",
}
ROUNDS = 5


async def agent(call: Call) -> None:
    """Read the menu until a key is pressed that means something, at most five times."""
    for _ in range(ROUNDS):
        # A key stops the voice, a cough does not.
        await call.say(MENU, interruptible="dtmf")
        key = await call.digits(max_digits=1, timeout_s=4)
        if key in ANSWERS:
            await call.say(ANSWERS[key])
            break
        if key and key != "0":
            await call.say("That key has no meaning here.")
    await call.say("Goodbye.", interruptible="none")


if __name__ == "__main__":
    raise SystemExit(serve(agent))

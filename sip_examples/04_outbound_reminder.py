"""Call somebody, remind them of an appointment, and let them confirm or cancel it by a key.

    .venv/bin/python sip_examples/04_outbound_reminder.py sip:anna@127.0.0.1:5070

Who may be called is a setting: --set sip.dial_allow=192.168.0.0/16 for phones in your network;
for numbers, add a trunk (07_register_to_pbx.py shows one) and say which it may dial.
"""

import sys

from bridge import Call, dial

REMINDER = "Good morning. This is a reminder of your appointment tomorrow at nine."
QUESTION = "To confirm it, press 1. To cancel it, press 2."
REPLIES = {"1": "Thank you. We are looking forward to seeing you.", "2": "Your appointment is cancelled."}


async def agent(call: Call) -> None:
    """Say what it is about, and take the answer."""
    await call.say(REMINDER, interruptible="none")
    for _ in range(2):
        await call.say(QUESTION, interruptible="dtmf")
        key = await call.digits(max_digits=1, timeout_s=5)
        if key in REPLIES:
            print({"1": "confirmed", "2": "cancelled"}[key])
            await call.say(REPLIES[key], interruptible="none")
            return
    print("no answer")
    await call.say("We could not hear an answer. Goodbye.")


if __name__ == "__main__":
    raise SystemExit(dial(sys.argv[1], agent, arguments=sys.argv[2:]))

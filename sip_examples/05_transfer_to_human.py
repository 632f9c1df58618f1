"""Take a question, and send the caller to a person when they press 0.

    HUMAN=sip:desk@127.0.0.1:5070 .venv/bin/python sip_examples/05_transfer_to_human.py

The caller's own phone calls the person (SIP REFER) and leaves us when they answer. Where nobody does, the
call comes back. With a trunk, HUMAN may be a number; who may be reached is a setting, sip.dial_allow.
"""

import os

from bridge import Call, serve

HUMAN = os.environ.get("HUMAN", "sip:desk@127.0.0.1:5070")


async def agent(call: Call) -> None:
    """Offer a person; stay if there is none."""
    await call.say("I am a machine. To talk to a person, press 0 at any time.", interruptible="dtmf")
    if await call.digits(max_digits=1, timeout_s=10) != "0":
        await call.say("Then goodbye.")
        return
    await call.say("One moment, please.", interruptible="none")
    result = await call.transfer(HUMAN, timeout_s=40)
    print(f"transfer: {result.status} {result.reason}")
    if not result.succeeded:
        await call.say("I am sorry, nobody is there at the moment. Please call again tomorrow.")


if __name__ == "__main__":
    raise SystemExit(serve(agent))

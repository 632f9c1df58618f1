"""Answer the phone and say one sentence.

Run it, then call sip:anything@127.0.0.1:5060 from any SIP phone:

    .venv/bin/python sip_examples/01_answer_and_speak.py

Another port: COSYBRIDGE_SIP__LISTEN=127.0.0.1:15060 .venv/bin/python sip_examples/01_answer_and_speak.py
"""

from bridge import Call, serve


async def agent(call: Call) -> None:
    """Speak one sentence, then hang up."""
    await call.say("Thank you for calling. Your appointment is confirmed for Tuesday morning.")


if __name__ == "__main__":
    raise SystemExit(serve(agent))

"""Be an extension of a PBX: register there, answer its calls, and be told when that does not work.

    PBX=192.168.1.2 EXTENSION=200 PASSWORD=secret .venv/bin/python sip_examples/07_register_to_pbx.py

The line "trunk pbx: registered …" is printed before "ready". The same settings can stand in a file:

    [[trunks]]
    name = "pbx"
    server = "192.168.1.2"
    user = "200"
    registers = true
"""

import os
import sys

from bridge import Call, serve

SETTINGS = {
    "trunks.0.name": "pbx",
    "trunks.0.server": os.environ.get("PBX", "127.0.0.1:5070"),
    "trunks.0.user": os.environ.get("EXTENSION", "200"),
    "trunks.0.registers": "true",
}


async def agent(call: Call) -> None:
    """Say who is there, and for whom the call was before it came to us."""
    await call.say(f"This is extension {' '.join(call.to)}.")
    if call.diverted_by:
        await call.say("Your call was sent on to me. Please leave a message at the front desk.")


if __name__ == "__main__":
    os.environ.setdefault("COSYBRIDGE_TRUNKS__0__PASSWORD", os.environ.get("PASSWORD", ""))
    settings = [f"--set={key}={value}" for key, value in SETTINGS.items()]
    raise SystemExit(serve(agent, arguments=[*settings, *sys.argv[1:]]))

"""A bare 20 ms timer in a process of its own: what the machine itself costs in punctuality.

Reads one line of JSON from stdin, writes one line to stdout.
"""

import contextlib
import json
import os
import sys
import time

import numpy as np

from tests.bench.lateness import Lateness


def main() -> None:
    told = json.loads(sys.stdin.readline())
    if told["realtime"]:
        # More urgent than the media process, so that it shows what that one could have had at best.
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(told["priority"]))
    late = []
    due_ns = told["begin_ns"]
    while due_ns < told["begin_ns"] + told["seconds"] * 1e9:
        if (wait_ns := due_ns - time.monotonic_ns()) > 0:
            time.sleep(wait_ns / 1e9)
        late.append(time.monotonic_ns() - due_ns)
        due_ns += 20_000_000
    with contextlib.suppress(PermissionError):
        # Summing up is not urgent, and must not hold up who is.
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    warm = round(told["warm_up_s"] * 50)
    sys.stdout.write(json.dumps(Lateness.of(np.array(late[warm:], np.int64)).as_json()) + "\n")


if __name__ == "__main__":
    main()

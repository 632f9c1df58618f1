"""When and on what a benchmark ran: the head of every file in `out/bench`."""

import os
import platform
import time
from typing import Any

__all__ = ["provenance"]


def provenance() -> dict[str, Any]:
    """Time of measuring, and the machine with its load at this moment."""
    return {
        "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            "system": platform.platform(),
            "python": platform.python_version(),
            "cores": len(os.sched_getaffinity(0)),
            "load": os.getloadavg()[0],
        },
    }

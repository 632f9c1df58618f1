"""Starts a process of ours beside the control plane: our own interpreter with one of our own modules."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import bridge

__all__ = ["spawn"]

_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def spawn(module: str, arguments: Sequence[str], *, fds: Sequence[int]) -> subprocess.Popen[bytes]:
    """Run `module` as a program; it inherits these descriptors under their numbers.

    Raises:
        OSError: If the system refuses the process.
    """
    home = str(Path(bridge.__file__).parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        **_ONE_THREAD,
        # Found where we were found, whatever the working directory; -P keeps that one off the path.
        "PYTHONPATH": home if not inherited else f"{home}{os.pathsep}{inherited}",
    }
    return subprocess.Popen(  # noqa: S603  our own interpreter with our own module
        [sys.executable, "-P", "-m", module, *arguments],
        pass_fds=tuple(fds),
        stdin=subprocess.DEVNULL,
        env=environment,
        # Ctrl-C and its kin reach the whole group; the control plane may still want to drain its calls.
        start_new_session=True,
    )

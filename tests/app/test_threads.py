"""Processes of ours have the threads that we start, and none that numpy starts for its matrices."""

import os
import subprocess
import sys

COUNT = "import os, bridge.app.server, bridge.plane.tones; print(len(os.listdir('/proc/self/task')))"


def test_the_program_does_not_let_matrices_start_threads() -> None:
    environment = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}

    done = subprocess.run(
        [sys.executable, "-c", COUNT], env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout == "1\n"

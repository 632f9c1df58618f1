import os
import socket
import subprocess
import sys
import time

import pytest

from bridge.engine.demux import Demux
from bridge.engine.mmsg import BatchSockets, is_supported
from bridge.plane.packets import Arrivals

pytestmark = pytest.mark.skipif(not is_supported(), reason="no recvmmsg here")


def test_the_timer_keeps_its_moment_to_a_fraction_of_a_millisecond() -> None:
    sockets = BatchSockets(Arrivals(4), capacity=1, demux=Demux(lambda row: -1))
    late_ns = []
    for _ in range(5):
        until_ns = time.monotonic_ns() + 3_300_000
        sockets.wait(until_ns, for_packets=False)
        late_ns.append(time.monotonic_ns() - until_ns)

    assert min(late_ns) >= 0
    assert min(late_ns) < 900_000  # A millisecond clock could not come that close every time.
    sockets.close()


def test_closing_twice_the_same_moment_leaves_no_descriptor() -> None:
    before = len(_open_fds())
    for _ in range(3):
        BatchSockets(Arrivals(4), capacity=1, demux=Demux(lambda row: -1)).close()

    assert len(_open_fds()) == before


@pytest.mark.e2e
def test_it_is_known_how_long_a_datagram_waited_for_us() -> None:
    arrivals = Arrivals(16)
    sockets = BatchSockets(arrivals, capacity=1, demux=Demux(lambda row: -1))
    leg = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    leg.bind(("127.0.0.1", 0))
    place = leg.getsockname()
    sockets.add(0, [leg.detach()])
    before_ns = time.time_ns()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        for _ in range(3):
            phone.sendto(bytes(172), place)

    count = sockets.receive()

    waited = arrivals.waited_ns[:count].tolist()
    assert count == 3
    assert time.time_ns() - before_ns > waited[0] > waited[1] > waited[2] > 0
    sockets.close()


def test_a_process_dies_with_its_parent() -> None:
    orphan = (
        "import signal, time; from bridge.engine.mmsg import die_with_parent;"
        "print(die_with_parent(signal.SIGKILL), flush=True); time.sleep(30)"
    )
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])",
            orphan,
        ],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"True\n"

    parent.kill()
    parent.wait()

    assert parent.stdout.read() == b""  # Ends when the orphan's copy of the pipe is closed too.
    parent.stdout.close()


@pytest.mark.e2e
def test_a_process_that_locks_its_memory_says_so_and_the_kernel_agrees() -> None:
    locked = subprocess.run(
        [
            sys.executable,
            "-c",
            "from bridge.engine.mmsg import lock_memory; print(lock_memory());"
            "print(next(line for line in open('/proc/self/status') if line.startswith('VmLck')))",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert (int(locked[2]) > 0) is (locked[0] == "True")


def _open_fds() -> list[str]:
    return os.listdir("/proc/self/fd")

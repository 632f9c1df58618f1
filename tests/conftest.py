"""What all tests share: law sizes, and an honest line about what could not run here."""

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # tests call nobody
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the program has it, before numpy is loaded

_state = tempfile.TemporaryDirectory(prefix="cosybridge-tests-")
atexit.register(_state.cleanup)
os.environ["XDG_STATE_HOME"] = _state.name  # and leave nothing in anybody's home

settings.register_profile("default", max_examples=60, deadline=None, database=None)
settings.register_profile(
    "fuzz", max_examples=5000, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

PEERS = {
    "sipp": "sip-tester",
    "baresip": "baresip-core",
    "kamailio": "kamailio",
    "rtpengine": "rtpengine-daemon",
    "linphonec": "linphone-cli",
    "svmap": "sipvicious",
    "chromium": "chromium",
    "node": "nodejs",
}
"""Commands that interop tests need, and the Debian packages that bring them."""

_missing: set[str] = set()


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """Whatever a test tells the log, the next one finds it untold."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    # pytest hangs its own in and out meanwhile.
    root.handlers[:] = [h for h in root.handlers if type(h).__module__.startswith("_pytest")] + [
        h for h in handlers if not type(h).__module__.startswith("_pytest")
    ]


@pytest.fixture
def peer(request: pytest.FixtureRequest) -> str:
    """Path of the system peer that the test's marker names first; those named after it are there as well."""
    marker = request.node.get_closest_marker("interop")
    names = [str(name) for name in marker.args]
    paths = {name: shutil.which(name) for name in names}
    name = next((name for name in names if paths[name] is None), names[0])
    path = paths[name]
    if path is not None and os.geteuid() == 0:
        return path
    _missing.add(name)
    message = f"{name} is not installed; run `make peers` as root (Debian package {PEERS[name]})"
    if path is not None:
        message = f"{name}: what it hears can only be taken off the wire by root"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End with one line: what was left out, and the command that adds it."""
    if _missing:
        terminalreporter.write_line(
            f"left out: interop tests with {', '.join(sorted(_missing))};"
            " to run them, as root: make peers && make test"
        )

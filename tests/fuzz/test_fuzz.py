"""What `make fuzz` runs for long runs here in short: 20,000 inputs, and every input that was a bug once."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.__main__ import SHARES, fuzz
from tests.fuzz.targets import TARGETS, VECTORS, seeds

RUNS = 20_000


@pytest.mark.parametrize("name", TARGETS)
def test_honest_input_and_old_bugs_break_no_law(name: str) -> None:
    for data in seeds(name):
        TARGETS[name](data)


def test_every_bug_that_fuzzing_found_is_replayed() -> None:
    names = {path.name for path in VECTORS.glob("fuzz_*")}

    assert all(any(name.startswith(f"fuzz_{target}_") for target in TARGETS) for name in names)
    assert set(SHARES) == set(TARGETS)
    assert sum(SHARES.values()) == 100


@pytest.mark.e2e
@pytest.mark.timeout(180)
def test_twenty_thousand_inputs_break_no_law(tmp_path: Path) -> None:
    outcomes = [fuzz(name, RUNS * share // 100, tmp_path) for name, share in SHARES.items()]

    assert [outcome.failure for outcome in outcomes] == [""] * len(outcomes)
    assert sum(outcome.runs for outcome in outcomes) >= RUNS
    # It is guided: inputs were kept because they reached something new.
    assert all(outcome.edges > 0 and outcome.kept > 0 for outcome in outcomes)


@pytest.mark.e2e
@pytest.mark.timeout(60)
def test_a_fuzzer_that_cannot_run_is_not_taken_for_a_sound_target() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.one", "no such target", "-runs=1"],
        capture_output=True,
        check=False,
    )

    assert done.returncode != 0

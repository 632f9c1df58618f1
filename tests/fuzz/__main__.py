"""`make fuzz`: every target under atheris, guided by the branches of `bridge` that inputs reach.

    python -m tests.fuzz --runs 1000000 [TARGET …]

The runs are shared out by what each target costs. An input that breaks a law is kept in ``out/fuzz/`` and
ends its target; the exit code tells. Put it into ``tests/vectors/fuzz_<target>_<what>`` and mend the code.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.fuzz.targets import TARGETS, seeds

__all__ = ["SHARES", "Outcome", "fuzz"]

SHARES = {
    "sip_wire": 32,
    "sip_agent": 8,
    "sdp": 15,
    "digest": 10,
    "stream": 10,
    "rtp": 5,
    "control": 5,
    "stun": 5,
    "cosyvoice": 10,
}
"""Percent of the runs. An agent costs twenty times as much as a parser, and is reached through one."""

_MAX_BYTES = 6000
_LIMIT_MIB = 2048
_DONE = re.compile(r"Done (\d+) runs in (\d+) second")
_REACHED = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one target."""

    target: str
    runs: int
    """As the fuzzer counted them; fewer than asked for if it ended early."""
    seconds: float
    edges: int
    """Branches of `bridge` that some input took."""
    kept: int
    """Inputs that reached something new, the seeds among them."""
    failure: str
    """The end of what it printed if a law was broken; empty otherwise."""


def fuzz(name: str, runs: int, folder: Path, *, seed: int = 1) -> Outcome:
    """Run one target.

    Args:
        name: Which.
        runs: How many inputs.
        folder: Where its corpus grows, and failing inputs are put.
        seed: Of the fuzzer's dice; the same runs come of the same one.
    """
    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds(name)):
        (corpus / f"seed-{number:03}").write_bytes(data)
    flags = [f"-runs={runs}", f"-seed={seed}", f"-max_len={_MAX_BYTES}", f"-rss_limit_mb={_LIMIT_MIB}"]
    flags += ["-timeout=20", "-len_control=0", f"-artifact_prefix={folder}/{name}-", str(corpus)]
    began_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.one", name, *flags],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    told = done.stdout + done.stderr
    finished = _DONE.search(told)
    reached = _REACHED.findall(told)
    counted = re.findall(r"^#(\d+)\t", told, re.MULTILINE)
    return Outcome(
        target=name,
        runs=int(finished[1]) if finished else int(counted[-1]) if counted else 0,
        seconds=round(time.monotonic() - began_s, 1),
        edges=int(reached[-1][0]) if reached else 0,
        kept=int(reached[-1][2]) if reached else 0,
        failure="" if done.returncode == 0 and finished else told[-4000:],
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all of them if none is named")
    parser.add_argument("--runs", type=int, default=1_000_000, help="inputs, over all targets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    told = parser.parse_args()
    names = told.targets or list(TARGETS)
    whole = sum(SHARES[name] for name in names)
    outcomes = []
    for name in names:
        outcomes.append(fuzz(name, told.runs * SHARES[name] // whole, told.out, seed=told.seed))
        print(line(outcomes[-1]), flush=True)
    total = sum(outcome.runs for outcome in outcomes)
    print(f"{total} inputs, {sum(bool(outcome.failure) for outcome in outcomes)} broken laws")
    (told.out / "summary.json").write_text(json.dumps([asdict(each) for each in outcomes], indent=2) + "\n")
    for outcome in outcomes:
        if outcome.failure:
            print(f"\n{outcome.target}:\n{outcome.failure}")
    return int(any(outcome.failure for outcome in outcomes))


def line(outcome: Outcome) -> str:
    verdict = "BROKEN" if outcome.failure else "sound"
    return (
        f"{outcome.target:10} {outcome.runs:8} inputs in {outcome.seconds:7.1f} s, "
        f"{outcome.edges:5} branches, {outcome.kept:5} kept: {verdict}"
    )


if __name__ == "__main__":
    sys.exit(main())

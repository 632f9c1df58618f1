"""What the locks pin, held against what the package asks for and against each other."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def pins(name: str) -> dict[str, set[str]]:
    """Versions of each package; more than one where they depend on the version of Python."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(
        r"^([a-z0-9.-]+)==(\S+)", (ROOT / "lock" / name).read_text(), re.MULTILINE
    ):
        found.setdefault(package, set()).add(version)
    return found


def test_make_ears_installs_the_extra_and_nothing_that_is_not_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = (ROOT / "lock/ears.in").read_text().splitlines()

    asked = [line for line in lines if not line.startswith("#")]
    assert asked == project["project"]["optional-dependencies"]["ears"]
    tested, installed = pins("test.txt"), pins("ears.txt")
    assert {re.split(r"[<>=]", line)[0] for line in asked} <= set(installed)
    assert {name: versions for name, versions in installed.items() if tested.get(name) != versions} == {}


def test_everything_that_is_installed_has_a_hash() -> None:
    for lock in (ROOT / "lock").glob("*.txt"):
        blocks = re.split(r"\n(?=[a-z0-9.-]+==)", "\n" + lock.read_text())[1:]
        assert blocks, lock
        assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == [], lock

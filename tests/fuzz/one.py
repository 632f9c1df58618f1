"""One target under atheris, in a process of its own: ``python -m tests.fuzz.one TARGET [libFuzzer flags]``.

The fuzzer ends the process when its runs are done, or at the first input that breaks a law.
"""

import sys

import atheris

with atheris.instrument_imports(include=["bridge"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

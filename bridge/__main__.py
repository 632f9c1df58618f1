"""`cosybridge` and `python -m bridge`."""

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line; returns the exit code."""
    from bridge.app.cli import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

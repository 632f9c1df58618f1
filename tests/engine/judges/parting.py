"""Breaks off contact, and stays."""

import os
import signal
import sys

if __name__ == "__main__":
    os.close(int(sys.argv[1]))
    signal.pause()

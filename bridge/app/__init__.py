"""The program: settings, processes, pages, commands."""

import os

# Our matrices are small. Threads of OpenBLAS only spin for each other, and on a machine whose cores are busy
# that turns the 20 ms of a table at start into seconds. Read once, when numpy is loaded: hence before it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

"""A judge's process that never reads what it is told, and does not end when it is left alone."""

import time

if __name__ == "__main__":
    time.sleep(60)

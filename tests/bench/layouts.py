"""How the kernel and RTP lay out what the benchmarks send and receive in batches."""

import numpy as np

__all__ = ["IOVEC", "MMSGHDR", "RTP", "SO_TIMESTAMPNS", "STAMP"]

SO_TIMESTAMPNS = 35
"""Not in the socket module."""
IOVEC = np.dtype([("base", "u8"), ("length", "u8")])
MMSGHDR = np.dtype(
    [
        ("name", "u8"),
        ("name_length", "u8"),
        ("iov", "u8"),
        ("iov_length", "u8"),
        ("control", "u8"),
        ("control_length", "u8"),
        ("flags", "i8"),
        ("length", "u8"),
    ]
)
"""struct mmsghdr of 64-bit Linux, its 32-bit members widened over their padding."""
STAMP = np.dtype([("length", "u8"), ("level", "i4"), ("kind", "i4"), ("s", "i8"), ("ns", "i8")])
RTP = np.dtype(
    [
        ("first", "u1"),
        ("second", "u1"),
        ("sequence", ">u2"),
        ("timestamp", ">u4"),
        ("ssrc", ">u4"),
        ("payload", "u1", 160),
    ]
)
"""A G.711 packet of 20 ms."""

import numpy as np

from tests.bench.accounting import count_streams


def test_losses_and_copies_are_told_stream_by_stream() -> None:
    ssrc = np.array([9, 4, 9, 4, 9, 4, 9], np.uint32)
    sequence = np.array([1, 10, 2, 11, 2, 14, 5], np.uint16)

    streams = count_streams(ssrc, sequence)

    assert streams.ssrcs.tolist() == [4, 9]
    assert streams.received.tolist() == [3, 4]
    assert streams.unique.tolist() == [3, 3]
    assert streams.lost.tolist() == [2, 2]
    assert streams.duplicates.tolist() == [0, 1]


def test_numbers_may_wrap_and_overtake_each_other() -> None:
    numbers = (np.arange(200_000) + 65_000) % 65_536
    swapped = numbers.reshape(-1, 2)[:, ::-1].reshape(-1)
    holed = np.delete(swapped, [7, 70_000, 199_990])

    streams = count_streams(np.zeros(len(holed), np.uint32), holed.astype(np.uint16))

    assert streams.lost.tolist() == [3]
    assert streams.duplicates.tolist() == [0]


def test_nothing_is_no_stream() -> None:
    streams = count_streams(np.zeros(0, np.uint32), np.zeros(0, np.uint16))

    assert len(streams.ssrcs) == len(streams.lost) == 0

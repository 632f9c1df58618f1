from dataclasses import replace

import numpy as np
import pytest

from bridge.plane.columns import Columns
from bridge.plane.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from bridge.plane.rows import FOREVER_NS, Rows
from tests.fakes import MS
from tests.plane.rig import spec

ROWS = np.array([1])
SENT, UNSENT = np.array([True]), np.array([False])


def begun() -> Rows:
    rows = Rows(Columns(bytearray(Columns.size_bytes(3)), 3))
    rows.begin(1, spec(sequence=65535, timestamp=2**32 - 160), now_ns=5)
    return rows


def test_numbers_wrap_and_the_marker_stands_on_the_first_packet_only() -> None:
    rows = begun()
    assert rows.second_byte(ROWS).tolist() == [0x80]

    rows.advance(ROWS, SENT)

    assert rows.second_byte(ROWS).tolist() == [0]
    assert (rows.sequence[1], rows.timestamp[1], rows.due_ns[1]) == (0, 0, 5 + 20 * MS)


def test_while_nothing_is_sent_only_time_moves_on() -> None:
    rows = begun()

    rows.advance(ROWS, UNSENT)

    assert (rows.sequence[1], rows.timestamp[1]) == (65535, 0)
    assert rows.second_byte(ROWS).tolist() == [0x80]


def test_the_first_packet_after_a_hold_is_marked() -> None:
    rows = begun()
    rows.advance(ROWS, SENT)

    rows.agree(1, spec(sending=False))
    assert rows.second_byte(ROWS).tolist() == [0]
    rows.agree(1, spec(sending=True))

    assert rows.second_byte(ROWS).tolist() == [0x80]


def test_slots_missed_by_far_are_skipped_and_counted() -> None:
    rows, columns = begun(), Columns(bytearray(Columns.size_bytes(3)), 3)
    rows.advance(ROWS, SENT)

    rows.catch_up(ROWS, columns, now_ns=5 + 219 * MS)

    assert rows.due_ns[1] == 5 + 200 * MS
    assert rows.timestamp[1] == 9 * 160
    assert columns.silence_bridge_late[1] == 9
    assert rows.second_byte(ROWS).tolist() == [0x80]


def test_slots_missed_by_little_are_made_up_for() -> None:
    rows, columns = begun(), Columns(bytearray(Columns.size_bytes(3)), 3)

    rows.catch_up(ROWS, columns, now_ns=5 + 100 * MS)

    assert rows.due_ns[1] == 5
    assert rows.is_late(ROWS, 6 + 20 * MS)[0]
    assert not rows.is_late(ROWS, 5 + 20 * MS)[0]


def test_a_row_that_has_ended_is_never_due() -> None:
    rows = begun()

    rows.end(1)

    assert set(rows.due_ns.tolist()) == {FOREVER_NS}


@pytest.mark.parametrize("codecs", [(0, 0, 0), (1, 1, 1), (1, 0, 1)])
def test_every_row_speaks_its_own_law_whoever_is_beside_it(codecs: tuple[int, ...]) -> None:
    rows = Rows(Columns(bytearray(Columns.size_bytes(3)), 3))
    for row, codec in enumerate(codecs):
        rows.begin(row, replace(spec(), codec=codec), now_ns=0)
    pcm = np.random.default_rng(1).normal(0, 4000, (3, 160)).astype(np.int16)
    everyone = np.arange(3)

    codes = rows.encode(everyone, pcm)

    laws = ((encode_ulaw, decode_ulaw), (encode_alaw, decode_alaw))
    assert np.array_equal(codes, [laws[codec][0](line) for codec, line in zip(codecs, pcm, strict=True)])
    assert np.array_equal(
        rows.decode(everyone, codes),
        [laws[codec][1](line) for codec, line in zip(codecs, codes, strict=True)],
    )
    assert rows.encode(everyone[:0], pcm[:0]).shape == (0, 160)

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bridge.engine.demux import NOBODY, Demux
from bridge.engine.ports import peer_key
from bridge.plane.spec import RowSpec
from tests.engine.fake_plane import spec

ALICE, BOB = ("10.0.0.1", 4000), ("10.0.0.2", 4000)


class Bench:
    """A demultiplexer, the SSRC that each row listens to, and packets named by theirs."""

    def __init__(self) -> None:
        self.ssrcs: dict[int, int] = {}
        self.demux = Demux(lambda row: self.ssrcs.get(row, -1))

    def whose(self, source: tuple[str, int], *, ssrc: int = 0, port: int = 0, is_rtcp: bool = False) -> int:
        (row,) = self.demux.find(port, np.array([peer_key(source)]), lambda at: ssrc, is_rtcp=is_rtcp)
        return int(row)


def expecting(
    remote: tuple[str, int] | None, *, nat: str | None = None, rtcp: tuple[str, int] | None = None
) -> RowSpec:
    return replace(
        spec(),
        remote_key=0 if remote is None else peer_key(remote),
        latch_ip=0 if nat is None else peer_key((nat, 0)) >> 16,
        rtcp_key=0 if rtcp is None else peer_key(rtcp),
    )


def test_a_port_knows_its_rows_by_where_their_peers_are() -> None:
    bench = Bench()
    bench.demux.seat(3, 0, expecting(ALICE))
    bench.demux.seat(5, 0, expecting(BOB))
    bench.demux.seat(6, 1, expecting(ALICE))

    keys = np.array([peer_key(BOB), peer_key(ALICE), peer_key(("10.0.0.9", 1))])
    assert bench.demux.find(0, keys, lambda at: 0, is_rtcp=False).tolist() == [5, 3, NOBODY]
    assert bench.whose(ALICE, port=1) == 6
    assert bench.whose(ALICE, port=2) == NOBODY
    assert len(bench.demux) == 3


def test_a_row_that_left_hears_nothing_more() -> None:
    bench = Bench()
    bench.demux.seat(3, 0, expecting(ALICE))

    bench.demux.remove(3)
    bench.demux.remove(3)

    assert bench.whose(ALICE) == NOBODY
    assert len(bench.demux) == 0


def test_reports_are_told_by_the_address_that_was_named_for_them() -> None:
    bench = Bench()
    bench.demux.seat(1, 0, expecting(ALICE, rtcp=("10.0.0.1", 4001)))
    bench.demux.seat(2, 0, expecting(("10.0.0.1", 5000), rtcp=("10.0.0.1", 5001)))

    assert bench.whose(("10.0.0.1", 5001), is_rtcp=True) == 2
    assert bench.whose(("10.0.0.1", 4001), is_rtcp=True) == 1


def test_a_peer_behind_nat_is_known_by_its_address_alone_and_then_exactly() -> None:
    bench = Bench()
    bench.demux.seat(1, 0, expecting(("192.168.1.2", 4000), nat="80.1.1.1"))

    assert bench.whose(("80.1.1.1", 33_333)) == 1
    bench.demux.learn(1, peer_key(("80.1.1.1", 33_333)))
    bench.demux.seat(2, 0, expecting(("80.1.1.1", 5000)))

    assert bench.whose(("80.1.1.1", 33_333), ssrc=99) == 1
    assert bench.whose(("80.1.1.1", 5000), ssrc=99) == 2


def test_of_several_calls_from_one_address_the_moved_one_is_found_by_its_stream() -> None:
    bench = Bench()
    bench.demux.seat(1, 0, expecting(("10.0.0.1", 4000)))
    bench.demux.seat(2, 0, expecting(("10.0.0.1", 5000)))
    bench.ssrcs = {1: 0xAAAA, 2: 0xBBBB}

    assert bench.whose(("10.0.0.1", 6000), ssrc=0xBBBB) == 2
    assert bench.whose(("10.0.0.1", 6000), ssrc=0xCCCC) == NOBODY


def test_a_new_stream_belongs_to_the_only_call_that_has_none_yet() -> None:
    bench = Bench()
    bench.demux.seat(1, 0, expecting(("10.0.0.1", 4000)))
    bench.demux.seat(2, 0, expecting(None, nat="10.0.0.1"))
    bench.ssrcs = {1: 0xAAAA}

    assert bench.whose(("10.0.0.1", 6000), ssrc=0xCCCC) == 2


def test_a_re_invite_moves_the_row_and_whoever_has_a_port_of_its_own_is_left_alone() -> None:
    bench = Bench()
    bench.demux.seat(1, 0, expecting(ALICE))

    bench.demux.update(1, expecting(BOB))
    bench.demux.update(7, expecting(ALICE))
    bench.demux.learn(7, peer_key(ALICE))

    assert bench.whose(BOB) == 1
    assert bench.whose(ALICE) == NOBODY


def test_a_later_call_cannot_take_an_earlier_ones_voice() -> None:
    bench = Bench()
    bench.demux.seat(1, 0, expecting(ALICE))
    bench.demux.seat(2, 0, expecting(BOB))

    bench.demux.update(2, expecting(ALICE))
    assert bench.whose(ALICE) == 1
    bench.demux.remove(2)

    assert bench.whose(ALICE) == 1


def test_who_claims_the_address_too_has_it_when_the_first_one_has_gone() -> None:
    bench = Bench()
    bench.demux.seat(1, 0, expecting(ALICE))
    bench.demux.seat(2, 0, expecting(ALICE))
    bench.demux.seat(3, 0, expecting(ALICE))

    bench.demux.remove(2)
    bench.demux.remove(1)

    assert bench.whose(ALICE, ssrc=5) == 3


ROWS = st.integers(0, 5)
SOURCES = st.tuples(st.sampled_from(["10.0.0.1", "10.0.0.2"]), st.integers(1, 3))
STEPS = st.lists(
    st.tuples(st.sampled_from(["seat", "learn", "update", "remove"]), ROWS, SOURCES), max_size=40
)


@given(STEPS, SOURCES)
def test_nothing_is_left_of_rows_that_have_gone(
    steps: list[tuple[str, int, tuple[str, int]]], source: tuple[str, int]
) -> None:
    bench = Bench()
    for what, row, where in steps:
        match what:
            case "seat":
                bench.demux.seat(row, row % 2, expecting(where, rtcp=where))
            case "learn":
                bench.demux.learn(row, peer_key(where))
            case "update":
                bench.demux.update(row, expecting(where))
            case _:
                bench.demux.remove(row)
    for row in range(6):
        bench.demux.remove(row)

    assert [bench.whose(source, port=port) for port in (0, 1)] == [NOBODY, NOBODY]
    assert len(bench.demux) == 0

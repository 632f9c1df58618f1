import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.engine.commands import CloseRow, FlushRow, OpenRow, Stop, encode
from bridge.engine.link import Link
from bridge.errors import RemoteProtocolError
from tests.engine.fake_plane import spec


@pytest.fixture
def pair() -> Iterator[tuple[Link, Link]]:
    left, right = (Link(sock, limit=1000) for sock in socket.socketpair())
    yield left, right
    left.close()
    right.close()


def test_messages_arrive_in_order_and_an_empty_pipe_returns_at_once(pair: tuple[Link, Link]) -> None:
    left, right = pair
    left.send(FlushRow(1, 2))
    left.send(CloseRow(1, 2))

    assert right.receive() == [FlushRow(1, 2), CloseRow(1, 2)]
    assert right.receive() == []


def test_descriptors_travel_with_their_message(pair: tuple[Link, Link]) -> None:
    left, right = pair
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        one.bind(("127.0.0.1", 0))
        left.send(FlushRow(5, 5))
        left.send(OpenRow(0, 2, spec(1)), [one.fileno(), two.fileno()])
        left.send(OpenRow(1, 1, spec(2)), [one.fileno()])

        received = [*right.receive(), *right.receive()]
        first, second = right.take_fds(), right.take_fds()

        assert [type(message) for message in received] == [FlushRow, OpenRow, OpenRow]
        assert (len(first), len(second)) == (2, 1)
        with socket.socket(fileno=first[0]) as same:
            assert same.getsockname() == one.getsockname()
        os.close(first[1])
        os.close(second[0])
        assert right.take_fds() == []


def test_a_full_pipe_keeps_what_it_was_given_and_then_refuses(pair: tuple[Link, Link]) -> None:
    left, right = pair
    accepted = 0
    while left.send(CloseRow(accepted, 7)):
        accepted += 1
    assert left.waiting == 1000
    assert left.flush() is False

    received: list[object] = []
    while left.waiting:
        received += right.receive()
        left.flush()
    received += right.receive()

    assert received == [CloseRow(row, 7) for row in range(accepted)]


def test_descriptors_that_have_to_wait_may_be_closed_by_their_owner(pair: tuple[Link, Link]) -> None:
    left, right = pair
    while not left.waiting:
        left.send(FlushRow(0, 0))
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    left.send(OpenRow(3, 1, spec(1)), [sock.fileno()])
    sock.close()

    received: list[object] = []
    while left.waiting:
        received += right.receive()
        left.flush()
    received += right.receive()

    assert received[-1] == OpenRow(3, 1, spec(1))
    with socket.socket(fileno=right.take_fds()[0]) as same:
        assert same.getsockname()[1] == port


def test_the_end_of_the_other_side_comes_after_its_last_words(pair: tuple[Link, Link]) -> None:
    left, right = pair
    left.send(Stop())
    left.close()

    assert right.receive() == [Stop()]
    with pytest.raises(EOFError):
        right.receive()
    assert right.send(Stop()) is True


class ShortSocket(socket.socket):
    """A socket on a system that is short of something for the first messages."""

    def __init__(self, sock: socket.socket, *failures: int) -> None:
        super().__init__(fileno=sock.detach())
        self._failures = list(failures)

    def sendmsg(self, *arguments: Any) -> int:  # noqa: ANN401
        if self._failures:
            raise OSError(self._failures.pop(0), "short")
        return super().sendmsg(*arguments)


@pytest.mark.parametrize("shortage", [errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM])
def test_a_shortage_of_the_system_delays_a_message_and_loses_none(shortage: int) -> None:
    ours, theirs = socket.socketpair()
    left, right = Link(ShortSocket(ours, shortage, shortage)), Link(theirs)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert left.send(OpenRow(3, 1, spec(1)), [sock.fileno()])

    assert left.flush() is False
    assert right.receive() == []
    assert left.flush() is True

    assert right.receive() == [OpenRow(3, 1, spec(1))]
    for link in (left, right):
        link.close()


def test_a_descriptor_that_is_none_is_the_senders_fault_and_nothing_is_sent(pair: tuple[Link, Link]) -> None:
    left, right = pair
    before = len(os.listdir("/proc/self/fd"))

    with pytest.raises(OSError, match="Bad file descriptor"):
        left.send(OpenRow(3, 1, spec(1)), [999_999])
    while not left.waiting:
        left.send(FlushRow(0, 0))
    with pytest.raises(OSError, match="Bad file descriptor"):
        left.send(OpenRow(3, 2, spec(1)), [left.sock.fileno(), 999_999])

    assert OpenRow not in {type(message) for message in right.receive()}
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_vital_message_waits_beyond_the_limit(pair: tuple[Link, Link]) -> None:
    left, _ = pair
    while left.send(FlushRow(0, 0)):
        pass

    assert left.send(CloseRow(0, 0), is_vital=True) is True

    assert left.waiting == 1001


def test_half_a_message_waits_for_its_other_half(pair: tuple[Link, Link]) -> None:
    left, right = pair
    frame = encode(CloseRow(1, 2))
    left.sock.send(frame[:7])
    assert right.receive() == []

    left.sock.send(frame[7:])

    assert right.receive() == [CloseRow(1, 2)]


def test_garbage_is_the_other_sides_fault(pair: tuple[Link, Link]) -> None:
    left, right = pair
    left.sock.send(b"\xff" * 64)

    with pytest.raises(RemoteProtocolError):
        right.receive()


def test_descriptors_nobody_asked_for_are_closed_with_the_link(pair: tuple[Link, Link]) -> None:
    left, right = pair
    reading, writing = os.pipe()
    left.send(OpenRow(0, 1, spec(1)), [writing])
    os.close(writing)
    right.receive()

    right.close()

    assert os.read(reading, 1) == b""  # Its last writer is gone.
    os.close(reading)

"""A process of phones that come and go over a bad network, and that keep account of every packet.

Told how many phones and how bad the network is, it answers with their ports. Then lines of JSON come at any
time: ``join``, ``talk``, ``leave``, ``collect`` of a phone. It says when one has joined, gives an account of
the call that is collected, and tells every minute how late packets were.
"""

import contextlib
import json
import os
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.engine.ports import raise_file_limit
from tests.bench.accounting import count_streams
from tests.bench.crowd import Ear, Mouth, phones
from tests.bench.generator import noise, pace, settle
from tests.bench.lateness import Lateness
from tests.bench.network import Network

__all__ = ["Phones", "Punctuality", "Talk"]

_TICK_NS = 1_000_000
_SLOTS = 20
_LISTEN_TICKS = 5
_LISTEN_SHARES = 20
_DIGEST_TICKS = 1000
_MINUTE_TICKS = 60_000
_SPARED = 2
"""A call is believed after two packets in order, and what comes before them is not counted: those come so."""
_STRANGER_TICKS = 100
_NS_PER_TICK = 125_000


@dataclass(slots=True)
class Talk:
    """One phone's part in one call."""

    call: int
    ssrc: int
    """Of the stream that it is to hear."""
    strangers: int = 0
    numbers: list[NDArray[np.int64]] = field(default_factory=list)
    """Of packets that came out of the network."""
    sequences: list[NDArray[np.uint16]] = field(default_factory=list)
    """Of packets heard."""
    heard_strange: int = 0

    def account(self, said: int) -> dict[str, int]:
        """What the phone knows, by the names of `CallAccount`."""
        numbers = np.concatenate(self.numbers) if self.numbers else np.zeros(0, np.int64)
        sequences = np.concatenate(self.sequences) if self.sequences else np.zeros(0, np.uint16)
        streams = count_streams(np.zeros(len(sequences), np.uint32), sequences)
        return {
            "said": said,
            "carried": len(numbers),
            "carried_unique": len(np.unique(numbers)),
            "span": int(numbers.max() - numbers.min()) + 1 if len(numbers) else 0,
            "strangers": self.strangers,
            "heard": len(sequences),
            "heard_unique": int(streams.unique.sum()),
            "heard_lost": int(streams.lost.sum()),
            "heard_strange": self.heard_strange,
        }


class Punctuality:
    """How late packets are behind the quickest that their call has had so far."""

    def __init__(self, count: int) -> None:
        self._first_ts = np.full(count, -1, np.int64)
        self._quickest = np.full(count, np.iinfo(np.int64).max, np.int64)
        self._late: list[NDArray[np.int64]] = []
        self._phones: list[NDArray[np.int32]] = []

    def forget(self, phone: int) -> None:
        """A new call begins there."""
        self._first_ts[phone] = -1
        self._quickest[phone] = np.iinfo(np.int64).max

    def note(
        self, phone: NDArray[np.int32], timestamp: NDArray[np.uint32], arrival_ns: NDArray[np.int64]
    ) -> None:
        """Take packets in the order of their arrival."""
        stamps = timestamp.astype(np.int64)
        new = self._first_ts[phone] < 0
        # The first of each phone stays, so the last assignment has to be its.
        self._first_ts[phone[new][::-1]] = stamps[new][::-1]
        ticks = (stamps - self._first_ts[phone] + 2**31) % 2**32 - 2**31
        transit = arrival_ns - ticks * _NS_PER_TICK
        np.minimum.at(self._quickest, phone, transit)
        self._late.append(transit - self._quickest[phone])
        self._phones.append(phone.copy())

    def take(self, residents: int) -> dict[str, dict[str, float]]:
        """Figures since the last time: of everybody, and of the phones below `residents`, who never leave."""
        late = np.concatenate(self._late) if self._late else np.zeros(0, np.int64)
        phone = np.concatenate(self._phones) if self._phones else np.zeros(0, np.int32)
        self._late, self._phones = [], []
        return {
            "everybody": Lateness.of(late).as_json(),
            "residents": Lateness.of(late[phone < residents]).as_json(),
        }


class Phones:
    """All of them, with the network before them."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._sockets = phones(told["phones"] + 1)
        count = told["phones"]
        self.ports: list[int] = [sock.getsockname()[1] for sock in self._sockets[:count]]
        self._mouth = Mouth(self._sockets, noise())
        self._ear = Ear(self._sockets[:count], keep=count * 50 * 4)
        self._network = Network(
            loss=told["loss"], jitter_ticks=told["jitter_ms"], doubled=told["doubled"], seed=told["seed"]
        )
        self._strangers = bool(told["strangers"])
        self._talks: dict[int, Talk] = {}
        self._talking = np.zeros(count, np.bool_)
        self._next = np.zeros(count, np.int64)
        self._carried: list[tuple[NDArray[np.intp], NDArray[np.int64]]] = []
        self.punctuality = Punctuality(count)

    def tick(self, tick: int) -> None:
        """A millisecond of everybody's life."""
        mine = np.flatnonzero(self._talking[tick % _SLOTS :: _SLOTS]) * _SLOTS + tick % _SLOTS
        if len(mine):
            numbers = self._next[mine]
            self._next[mine] += 1
            spared = numbers < _SPARED
            self._network.put(mine[~spared], numbers[~spared], tick=tick)
            self._carry(mine[spared], numbers[spared])
        self._carry(*self._network.take(tick))
        if self._strangers and tick % _STRANGER_TICKS == 0:
            self._disturb(tick // _STRANGER_TICKS)
        if tick % _LISTEN_TICKS == 0:
            share, count = tick // _LISTEN_TICKS % _LISTEN_SHARES, len(self.ports)
            self._ear.listen(count * share // _LISTEN_SHARES, count * (share + 1) // _LISTEN_SHARES)
        if tick % _DIGEST_TICKS == 0:
            self._digest()

    def join(self, phone: int, *, call: int, port: int, ssrc: int) -> None:
        """Hear a call; say nothing yet."""
        self._talks[phone] = Talk(call, ssrc)
        self._next[phone] = 0
        self._mouth.ssrcs[phone] = 0x10000 + call
        self._mouth.call(phone, port)
        self.punctuality.forget(phone)

    def talk(self, phone: int) -> None:
        """Begin to speak: a stream of its own, from number 0."""
        self._talking[phone] = True

    def leave(self, phone: int) -> None:
        """Say no more; what is in the network will still come out, and what comes back is heard."""
        self._talking[phone] = False

    def collect(self, phone: int) -> dict[str, int]:
        """End the call, and tell all about it."""
        self._ear.listen(phone, phone + 1)
        self._digest()
        talk = self._talks.pop(phone)
        return {"call": talk.call, **talk.account(int(self._next[phone]))}

    def _carry(self, which: NDArray[np.intp], numbers: NDArray[np.int64]) -> None:
        if not len(which):
            return
        left = self._mouth.say(which, numbers)
        self._carried.append((which[left], numbers[left]))

    def _disturb(self, turn: int) -> None:
        """Somebody else sends to the port of one of the calls."""
        talking = np.flatnonzero(self._talking)
        if not len(talking):
            return
        phone = int(talking[turn % len(talking)])
        if self._next[phone] <= _SPARED:
            return
        stranger, address = self._sockets[-1], self._sockets[phone].getpeername()
        stranger.sendto(b"\x80\0" + bytes(170), address)
        self._talks[phone].strangers += 1

    def _digest(self) -> None:
        """Book what was heard since the last time."""
        heard = self._ear.received.until_now()
        if heard.overflow:
            raise RuntimeError("more came back than there is room for")
        for phone, index in _by_phone(heard.phone):
            if (talk := self._talks.get(phone)) is not None:
                own = heard.ssrc[index] == talk.ssrc
                talk.heard_strange += int(np.count_nonzero(~own))
                talk.sequences.append(heard.sequence[index[own]])
        if heard.count:
            self.punctuality.note(heard.phone, heard.timestamp, heard.arrival_ns)
            self._ear.received.count = 0
        if self._carried:
            which = np.concatenate([batch[0] for batch in self._carried])
            numbers = np.concatenate([batch[1] for batch in self._carried])
            self._carried.clear()
            for phone, index in _by_phone(which):
                if (talk := self._talks.get(phone)) is not None:
                    talk.numbers.append(numbers[index])


def _by_phone(phone: NDArray[Any]) -> list[tuple[int, NDArray[np.intp]]]:
    """Which packets are whose, in their order."""
    order = np.argsort(phone, kind="stable")
    who, begins = np.unique(phone[order], return_index=True)
    return list(zip(who.tolist(), np.split(order, begins[1:]), strict=False))


def main() -> None:
    commands = Commands()
    told = commands.wait()
    raise_file_limit()
    crowd = Phones(told)
    say(ports=crowd.ports)
    begin_ns = commands.wait()["begin_ns"]
    settle()
    tick = 0
    while True:
        pace(begin_ns + tick * _TICK_NS)
        for command in commands.read():
            obey(crowd, command)
        if commands.is_over:
            return
        crowd.tick(tick)
        tick += 1
        if tick % _MINUTE_TICKS == 0:
            say(minute=tick // _MINUTE_TICKS, **crowd.punctuality.take(told["residents"]))


class Commands:
    """Lines of JSON on stdin; not through `sys.stdin`, which would keep some for itself."""

    def __init__(self) -> None:
        self.is_over: bool = False
        self._waiting: deque[dict[str, Any]] = deque()
        self._rest = b""

    def wait(self) -> dict[str, Any]:
        """The next one."""
        os.set_blocking(0, True)
        while not self._waiting:
            self._fetch()
            if self.is_over:
                sys.exit("nobody tells us what to do")
        return self._waiting.popleft()

    def read(self) -> list[dict[str, Any]]:
        """What has come, without waiting for more."""
        os.set_blocking(0, False)
        with contextlib.suppress(BlockingIOError):
            self._fetch()
        come = list(self._waiting)
        self._waiting.clear()
        return come

    def _fetch(self) -> None:
        data = os.read(0, 1 << 16)
        self.is_over = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._waiting += [json.loads(line) for line in lines]


def obey(crowd: Phones, command: dict[str, Any]) -> None:
    match command:
        case {"join": phone, "call": call, "port": port, "ssrc": ssrc}:
            crowd.join(phone, call=call, port=port, ssrc=ssrc)
            say(joined=call)
        case {"talk": phone}:
            crowd.talk(phone)
        case {"leave": phone}:
            crowd.leave(phone)
        case {"collect": phone}:
            say(account=crowd.collect(phone))


def say(**values: object) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main()

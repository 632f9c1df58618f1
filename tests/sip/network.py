"""Two or more agents on a network that loses, delays, doubles and reorders, by a seed."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

from bridge.sip.agent import Agent, AgentSettings
from bridge.sip.events import Command, Datagram, Output
from bridge.sip.layer import Send
from tests.fakes import MS, ManualClock, SeededIds

React = Callable[[Output], list[Command]]
"""What the user of an agent does about an event."""


OPEN = AgentSettings(allow=("192.0.2.0/24",), max_requests_per_s=100_000)


@dataclass(frozen=True)
class Weather:
    loss: float = 0.0
    doubled: float = 0.0
    delay_ms: tuple[int, int] = (1, 1)


class Network:
    """Carries datagrams between agents, in order of arrival, on one clock."""

    def __init__(self, weather: Weather, *, seed: int) -> None:
        self.clock = ManualClock()
        self.log: list[tuple[str, Output]] = []
        self._weather = weather
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311  predictable on purpose
        self._agents: dict[str, tuple[Agent, React]] = {}
        self._flying: list[tuple[int, int, str, Datagram]] = []
        self._count = 0

    def attach(self, ip: str, react: React, settings: AgentSettings = OPEN) -> None:
        self._agents[ip] = Agent(settings, ids=SeededIds(self._seed * 1000 + len(self._agents))), react

    def detach(self, ip: str) -> None:
        """Let an agent vanish without a word."""
        del self._agents[ip]

    def clear_up(self) -> None:
        """Lose and double nothing from now on."""
        self._weather = Weather(delay_ms=self._weather.delay_ms)

    def agent(self, ip: str) -> Agent:
        return self._agents[ip][0]

    def do(self, ip: str, command: Command) -> None:
        self.agent(ip).receive(command, now_ns=self.clock.now_ns())
        self._collect(ip)

    def run(self, *, until_ms: int | None = None) -> None:
        """Let everything happen until nothing more is due, or until the given time."""
        while (due := self._next()) is not None and (until_ms is None or due[0] <= until_ms * MS):
            due_ns, ip = due
            self.clock.advance((due_ns - self.clock.now_ns()) / MS)
            if self._flying and self._flying[0][0] <= due_ns:
                _, _, ip, datagram = heapq.heappop(self._flying)
                if ip not in self._agents:
                    continue
                self.agent(ip).receive(datagram, now_ns=due_ns)
            else:
                self.agent(ip).handle_timeout(now_ns=due_ns)
            self._collect(ip)

    def _next(self) -> tuple[int, str] | None:
        due = [
            (agent.deadline_ns, ip)
            for ip, (agent, _) in self._agents.items()
            if agent.deadline_ns is not None
        ]
        if self._flying:
            due.append((self._flying[0][0], self._flying[0][2]))
        return min(due, default=None)

    def _collect(self, ip: str) -> None:
        agent, react = self._agents[ip]
        while outputs := agent.drain():
            for output in outputs:
                if isinstance(output, Send):
                    self._post(ip, output)
                    continue
                self.log.append((ip, output))
                for command in react(output):
                    agent.receive(command, now_ns=self.clock.now_ns())

    def _post(self, ip: str, send: Send) -> None:
        copies = 1 + (self._random.random() < self._weather.doubled)
        for _ in range(copies):
            if self._random.random() < self._weather.loss or send.destination[0] not in self._agents:
                continue
            self._count += 1
            arrival_ns = self.clock.now_ns() + self._random.randint(*self._weather.delay_ms) * MS
            datagram = Datagram(send.data, (ip, 5060), send.destination[0])
            heapq.heappush(self._flying, (arrival_ns, self._count, send.destination[0], datagram))

"""Every call that is not quite over: by name, by peer, and by what is due next."""

from collections import Counter
from dataclasses import replace

from bridge.errors import RemoteProtocolError
from bridge.hosts import source_of
from bridge.sip.agenda import Agenda
from bridge.sip.events import Gone, Output, Unserved
from bridge.sip.message import Request
from bridge.sip.refer_events import Refer, ReferralCommand, Transferring
from bridge.sip.replaces import Replaces, replaced_by
from bridge.sip.session import Session

__all__ = ["Roster"]


class Roster:
    """The sessions of one agent."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._peers_of: dict[str, list[str]] = {}
        self._peers: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._agenda = Agenda()

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def deadline_ns(self) -> int | None:
        return self._agenda.next_ns

    def find(self, call: str) -> Session | None:
        return self._sessions.get(call)

    def calls_with(self, peer_ip: str) -> int:
        """How many calls this peer has with us."""
        return self._peers[peer_ip]

    def calls_of(self, peer_ip: str) -> int:
        """How many calls it and those have that count as one with it (`bridge.hosts.source_of`)."""
        return self._sources[source_of(peer_ip)]

    def enter(self, session: Session, *, peer_ip: str) -> None:
        """Take up a new call; `collect` lets it go."""
        self._sessions[session.call] = session
        self._peers_of[session.call] = []
        self._meet(session.call, peer_ip)

    def replaced(self, invite: Request) -> tuple[str, int]:
        """Find the call whose place an INVITE wants to take (RFC 3891 §3).

        Returns:
            Its name, empty if the INVITE wants none, and why it cannot be had, as a status, or 0.
        """
        try:
            wanted = replaced_by(invite.headers)
        except RemoteProtocolError:
            return "", 400
        if wanted is None:
            return "", 0
        session = self._sessions.get(wanted.to_tag)
        return wanted.to_tag, 481 if session is None else session.refusal_to_yield(wanted)

    def refer(self, command: ReferralCommand, *, now_ns: int) -> list[Output]:
        """Carry out what is to become of a transfer; returns what came of it."""
        if (session := self._sessions.get(command.call)) is None:
            return []
        replaces = None
        if isinstance(command, Refer) and command.replacing:
            other = self._sessions.get(command.replacing)
            if other is None or other.dialog is None:
                reason = "the other call does not stand"
                return [Transferring(command.call, 481, reason, is_over=True, is_accepted=False)]
            replaces = Replaces.of(other.dialog)
            command = replace(command, target=command.target or other.dialog.target.text)
        session.refer(command, replaces, now_ns=now_ns)
        return self.collect(command.call)

    def collect(self, call: str) -> list[Output]:
        """Take a session's outputs and its next deadline; forget it when nothing is left of it."""
        if (session := self._sessions.get(call)) is None:
            return []
        outputs = session.drain()
        for output in outputs:
            if isinstance(output, Unserved) and output.following is not None:
                self._meet(call, output.following[0])
        if any(isinstance(output, Gone) for output in outputs):
            del self._sessions[call]
            self._agenda.set(call, None)
            self._leave(call)
        else:
            self._agenda.set(call, session.deadline_ns)
        return outputs

    def handle_timeout(self, *, now_ns: int) -> list[Output]:
        """Let every session do what is due; returns what came of it."""
        outputs: list[Output] = []
        for call in self._agenda.take(now_ns=now_ns):
            self._sessions[call].handle_timeout(now_ns=now_ns)
            outputs += self.collect(call)
        return outputs

    def _meet(self, call: str, peer_ip: str) -> None:
        """Count a call with a peer; the one before may answer late, and stays."""
        self._peers_of[call].append(peer_ip)
        self._peers[peer_ip] += 1
        self._sources[source_of(peer_ip)] += 1

    def _leave(self, call: str) -> None:
        for peer_ip in self._peers_of.pop(call):
            _take_off(self._peers, peer_ip)
            _take_off(self._sources, source_of(peer_ip))


def _take_off(counter: Counter[str], name: str) -> None:
    counter[name] -= 1
    if not counter[name]:
        # A counter remembers zeros; peers come and go for years.
        del counter[name]

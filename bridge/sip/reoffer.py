"""Our own changes of a call that stands: re-INVITE or UPDATE, and what happens when both sides want one."""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.ports import IdSource
from bridge.sip.dialog import Dialog
from bridge.sip.digest import carry_credentials
from bridge.sip.events import Ended, OfferDue, Output, Reoffered
from bridge.sip.layer import Outcome, Send, TransactionLayer
from bridge.sip.message import Request, Response
from bridge.sip.methods import ALLOW, SDP_TYPE, SUPPORTED

__all__ = ["OurOffers", "Wanted"]

_MS = 1_000_000
_TRIES = 5
_LONGEST_WAIT_S = 10
_LETHAL = (408, 481)
"""Answers that say that there is no such call any more (§12.2.1.2)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One change."""

    ticket: str
    """Whom its outcome is for; empty for a mere refresh."""
    sdp: bytes
    method: str = "INVITE"
    """``INVITE`` or ``UPDATE``."""


class OurOffers:
    """One change at a time; others are refused until it is decided.

    Args:
        call: The call's name, and our tag in it.
        layer: What the requests go through.
        ids: For branches and dice.
        is_owner: Whether its Call-ID is ours: then we wait longer after a collision (§14.1).
    """

    def __init__(self, call: str, layer: TransactionLayer, ids: IdSource, *, is_owner: bool) -> None:
        self._call = call
        self._layer = layer
        self._ids = ids
        self._is_owner = is_owner
        self.asks: str = ""
        """Tag of whoever was asked last: before the answer, each phone of a fork has one."""
        self._wanted: Wanted | None = None
        self._key = ""
        self._tries = 0
        self._again_ns: int | None = None
        self._give_up_ns: int | None = None
        self._is_asked = False
        self._acks: dict[str, Send] = {}

    @property
    def is_open(self) -> bool:
        """Whether a change of ours is on its way, so that one of theirs collides with it."""
        return bool(self._key)

    @property
    def is_wanted(self) -> bool:
        """Whether there is a change of ours at all, be it on its way or waiting for a better moment."""
        return self._wanted is not None

    @property
    def deadline_ns(self) -> int | None:
        return self._again_ns if self._again_ns is not None else self._give_up_ns

    def begin(
        self, wanted: Wanted, dialog: Dialog, fields: list[tuple[str, str]], *, is_free: bool, now_ns: int
    ) -> list[Output]:
        """Ask for a change.

        Args:
            wanted: Which.
            dialog: Where.
            fields: Further header fields.
            is_free: Whether nothing of the peer's is undecided; else we wait as after a collision.
            now_ns: The time.
        """
        if self._wanted is not None:
            return [] if not wanted.ticket else [Reoffered(self._call, wanted.ticket, 491, b"")]
        self._wanted, self._tries, self.asks = wanted, 0, dialog.remote_tag
        if not is_free:
            self._wait(now_ns)
            return []
        if wanted.method == "INVITE" and not wanted.ticket:
            return self._ask(wanted)
        self._send(wanted, dialog, fields, now_ns=now_ns)
        return []

    def handle_timeout(
        self, dialog: Dialog, fields: list[tuple[str, str]], *, is_free: bool, now_ns: int
    ) -> list[Output]:
        """Try again after a collision, or give up a peer that never decides; harmless when early."""
        if self._give_up_ns is not None and now_ns >= self._give_up_ns:
            self._key, self._give_up_ns = "", None
            return self._failed(408, None, now_ns)
        if self._wanted is None or self._again_ns is None or now_ns < self._again_ns:
            return []
        if not is_free:
            return self._collided(now_ns)
        self._again_ns = None
        if self._wanted.method == "INVITE":
            return self._ask(self._wanted)
        self._send(self._wanted, dialog, fields, now_ns=now_ns)
        return []

    def offer(
        self, ticket: str, sdp: bytes, dialog: Dialog, fields: list[tuple[str, str]], *, now_ns: int
    ) -> bool:
        """Send the description that `OfferDue` asked for; False if nothing did."""
        wanted = self._wanted
        if not self._is_asked or wanted is None or wanted.ticket != ticket:
            return False
        self._is_asked, self._wanted = False, Wanted(ticket, sdp)
        self._send(self._wanted, dialog, fields, now_ns=now_ns)
        return True

    def _ask(self, wanted: Wanted) -> list[Output]:
        # What was true before the wait need not be so now: the description is written anew.
        self._is_asked = True
        return [OfferDue(self._call, wanted.ticket, wanted.sdp)]

    def conclude(
        self, outcome: Outcome, dialog: Dialog, again: Callable[[Outcome], Request | None], *, now_ns: int
    ) -> tuple[list[Output], Response | None]:
        """Take what came of it.

        Returns:
            What to say, and the 2xx, if there is one for the first time.
        """
        response = outcome.message
        if outcome.key != self._key:
            # The 200 again: our ACK was lost (§13.2.2.4).
            ack = self._acks.get(outcome.key)
            return ([ack] if ack is not None and isinstance(response, Response) else []), None
        if not outcome.is_final or isinstance(response, Request):
            return [], None
        if response is not None and (repeated := again(outcome)) is not None:
            self._key = self._layer.request(
                repeated, destination=dialog.destination, owner=self._call, now_ns=now_ns
            )
            return [], None
        self._key, self._give_up_ns = "", None
        if response is not None and response.status < 300:
            dialog.follow(response, source=outcome.source)
            return self._succeeded(outcome, response, dialog), response
        return self._failed(408 if response is None else response.status, response, now_ns), None

    def _failed(self, status: int, response: Response | None, now_ns: int) -> list[Output]:
        if status == 491:
            return self._collided(now_ns)
        if status == 500 and response is not None and (wait_s := _retry_after_s(response)) is not None:
            # The peer has a change of its own under way (RFC 3311 §5.2).
            return self._collided(now_ns, wait_ns=wait_s * 1000 * _MS)
        gone = [Ended(self._call, "the other side knows no such call", status)] if status in _LETHAL else []
        return [*gone, *self._done(status)]

    def close(self) -> list[Output]:
        """The call is over: whoever waits is told."""
        self._again_ns, self._give_up_ns, self._key = None, None, ""
        return self._done(487)

    def _succeeded(self, outcome: Outcome, response: Response, dialog: Dialog) -> list[Output]:
        outputs: list[Output] = []
        if outcome.request.method == "INVITE":
            ack = dialog.ack(outcome.request.cseq.number, branch="z9hG4bK" + self._ids.token(8))
            send = Send(bytes(carry_credentials(outcome.request, ack)), dialog.destination)
            self._acks = {outcome.key: send}
            outputs.append(send)
        return outputs + self._done(response.status, response.body)

    def _collided(self, now_ns: int, *, wait_ns: int | None = None) -> list[Output]:
        self._tries += 1
        if self._tries >= _TRIES:
            self._again_ns = None
            return self._done(491)
        if wait_ns is None:
            self._wait(now_ns)
        else:
            self._again_ns = now_ns + wait_ns
        return []

    def _wait(self, now_ns: int) -> None:
        """In steps of 10 ms: 2.1 to 4 s for the owner of the Call-ID, 0 to 2 s for the other (§14.1)."""
        least, most = (210, 400) if self._is_owner else (0, 200)
        self._again_ns = now_ns + (least + self._ids.number(16) % (most - least + 1)) * 10 * _MS

    def _done(self, status: int, sdp: bytes = b"") -> list[Output]:
        wanted, self._wanted, self._is_asked = self._wanted, None, False
        if wanted is None or not wanted.ticket:
            return []
        return [Reoffered(self._call, wanted.ticket, status, sdp)]

    def _send(self, wanted: Wanted, dialog: Dialog, fields: list[tuple[str, str]], *, now_ns: int) -> None:
        request = dialog.request(wanted.method, branch="z9hG4bK" + self._ids.token(8))
        request.headers.add("Allow", ALLOW)
        request.headers.add("Supported", ", ".join(SUPPORTED))
        for name, value in fields:
            request.headers.add(name, value)
        if wanted.sdp:
            request.headers.add("Content-Type", SDP_TYPE)
            request.body = wanted.sdp
        self._key = self._layer.request(
            request, destination=dialog.destination, owner=self._call, now_ns=now_ns
        )
        # A peer that says nothing at all is given up by the transaction, just before.
        timers = self._layer.timers
        self._give_up_ns = now_ns + timers.give_up_ns + timers.t1_ns


def _retry_after_s(response: Response) -> int | None:
    text = (response.headers.get("Retry-After") or "").partition(";")[0].partition("(")[0].strip()
    return min(int(text), _LONGEST_WAIT_S) if text.isdecimal() and len(text) < 6 else None

"""Asking callers who they are: digest challenges, and what comes back (RFC 7616, RFC 8760, RFC 3261 §22)."""

import hashlib
import hmac
import re
from collections import OrderedDict
from enum import Enum, auto

from bridge.errors import RemoteProtocolError
from bridge.sip.digest import Algorithm, Credentials, digest_fields, proof, secret_of
from bridge.sip.grammar import Uri
from bridge.sip.message import Request

__all__ = ["DEFAULT_ALGORITHMS", "Challenger", "Verdict"]

DEFAULT_ALGORITHMS = (Algorithm.SHA_256, Algorithm.MD5)
"""What we ask for, best first (RFC 8760 §2.4); the session variants prove nothing more here."""
_NS = 1_000_000_000
_LIFE_NS = 60 * _NS
"""How long a nonce may be answered."""
_MOST_NONCES = 4096
"""Nonces that have admitted somebody, and whose count must still rise."""
_MOST_GUESSERS = 4096
_FREE_GUESSES = 5
_IGNORED_NS = 60 * _NS
"""How long a source is not heard after so many wrong answers in a row."""
_COUNT = re.compile(r"[0-9a-fA-F]{8}")


class Verdict(Enum):
    """What a request proves."""

    ADMITTED = auto()
    MISSING = auto()
    """No credentials, or none for our realm: ask."""
    STALE = auto()
    """The secret is right, the nonce too old or used: ask again."""
    WRONG = auto()
    IGNORED = auto()
    """Too many wrong answers came from there: say nothing."""


class Challenger:
    """Knows the accounts that may call from anywhere; keeps nothing about those who only ask.

    A nonce is the time and a keyed hash over time and source: no memory is needed to recognise it, and it is
    worth nothing elsewhere. Only one that has admitted somebody is remembered, with the highest count seen.

    Args:
        realm: What our challenges name.
        accounts: Who may call.
        secret: Made anew at each start; nobody else may know it.
        algorithms: What they may answer with, best first.
    """

    def __init__(
        self,
        *,
        realm: str,
        accounts: tuple[Credentials, ...],
        secret: bytes,
        algorithms: tuple[Algorithm, ...] = DEFAULT_ALGORITHMS,
    ) -> None:
        self._realm = realm
        self._algorithms = algorithms
        self._secrets = {
            (account.user, algorithm): secret_of(
                algorithm, user=account.user, realm=realm, password=account.password
            )
            for account in accounts
            for algorithm in algorithms
        }
        self._secret = secret
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._floor_ns = -1
        """Nonces made until then may have been used and forgotten."""
        self._wrong: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def challenge(self, source_ip: str, *, is_stale: bool, now_ns: int) -> list[tuple[str, str]]:
        """Fields of a 401 to this source, the strongest first."""
        nonce = self._nonce(source_ip, now_ns)
        rest = 'qop="auth,auth-int"' + (", stale=true" if is_stale else "")
        return [
            (
                "WWW-Authenticate",
                f'Digest realm="{self._realm}", nonce="{nonce}", algorithm={each.value}, {rest}',
            )
            for each in self._algorithms
        ]

    def judge(self, request: Request, source_ip: str, *, now_ns: int) -> tuple[Verdict, str]:
        """Look at a request's credentials.

        Returns:
            What they prove, and the account's name where they admit.
        """
        if (fields := self._credentials(request)) is None:
            return Verdict.MISSING, ""
        count, until_ns = self._wrong.get(source_ip, (0, 0))
        if count >= _FREE_GUESSES and now_ns < until_ns:
            return Verdict.IGNORED, ""
        if not self._is_right(fields, request):
            self._wrong.pop(source_ip, None)
            self._wrong[source_ip] = (count + 1 if now_ns < until_ns else 1), now_ns + _IGNORED_NS
            if len(self._wrong) > _MOST_GUESSERS:
                self._wrong.popitem(last=False)
            return Verdict.WRONG, ""
        if not self._is_fresh(fields["nonce"], int(fields["nc"], 16), source_ip, now_ns=now_ns):
            return Verdict.STALE, ""
        self._wrong.pop(source_ip, None)
        return Verdict.ADMITTED, fields["username"]

    def _credentials(self, request: Request) -> dict[str, str] | None:
        for text in request.headers.all("Authorization"):
            try:
                fields = digest_fields(text)
            except RemoteProtocolError:
                continue
            if fields is not None and fields.get("realm") == self._realm:
                return fields
        return None

    def _is_right(self, fields: dict[str, str], request: Request) -> bool:
        algorithm = Algorithm.named(fields.get("algorithm", "MD5"))
        secret = None if algorithm is None else self._secrets.get((fields.get("username", ""), algorithm))
        if (
            algorithm is None
            or secret is None
            or fields.get("qop", "").lower() not in ("auth", "auth-int")
            or _COUNT.fullmatch(fields.get("nc", "")) is None
            or not _is_same_user(fields.get("uri", ""), request.uri)
        ):
            return False
        expected = proof(
            algorithm,
            secret,
            nonce=fields.get("nonce", ""),
            method=request.method,
            uri=fields["uri"],
            qop=fields["qop"].lower(),
            count=fields["nc"],
            cnonce=fields.get("cnonce", ""),
            body=request.body,
        )
        return _is_equal(expected, fields.get("response", "").lower())

    def _is_fresh(self, nonce: str, count: int, source_ip: str, *, now_ns: int) -> bool:
        """Whether the nonce is ours, in time, and its count higher than before (RFC 7616 §3.4)."""
        made, _, _ = nonce.partition(".")
        made_ns = int(made, 16) if re.fullmatch(r"[0-9a-f]{1,16}", made) else -1
        if made_ns < 0 or not _is_equal(nonce, self._nonce(source_ip, made_ns)):
            return False
        if not self._floor_ns < made_ns <= now_ns < made_ns + _LIFE_NS:
            return False
        if count <= self._counts.get(nonce, 0):
            return False
        self._counts.pop(nonce, None)
        self._counts[nonce] = count
        if len(self._counts) > _MOST_NONCES:
            forgotten, _ = self._counts.popitem(last=False)
            self._floor_ns = max(self._floor_ns, int(forgotten.partition(".")[0], 16))
        return True

    def _nonce(self, source_ip: str, made_ns: int) -> str:
        text = f"{made_ns:x} {source_ip}".encode()
        return f"{made_ns:x}.{hashlib.blake2s(text, key=self._secret, digest_size=16).hexdigest()}"


def _is_equal(ours: str, theirs: str) -> bool:
    """Compare in a time that tells nothing; undecodable bytes of the peer are none of ours."""
    return hmac.compare_digest(
        ours.encode("utf-8", "surrogateescape"), theirs.encode("utf-8", "surrogateescape")
    )


def _is_same_user(uri: str, request_uri: str) -> bool:
    """Whether the credentials are for this callee: a proxy on the way may have changed the host alone."""
    try:
        return Uri.parse(uri).user == Uri.parse(request_uri).user
    except RemoteProtocolError:
        return False

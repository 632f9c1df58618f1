"""Digest authentication: its arithmetic, and our answers to challenges (RFC 7616, RFC 2617, RFC 8760)."""

import hashlib
import re
from dataclasses import dataclass, field
from enum import Enum

from bridge.errors import RemoteProtocolError
from bridge.hosts import bracketed
from bridge.ports import IdSource
from bridge.sip.grammar import split_list
from bridge.sip.message import Headers, Request, Response

__all__ = [
    "CREDENTIAL_FIELDS",
    "Algorithm",
    "Challenge",
    "Credentials",
    "DigestClient",
    "carry_credentials",
    "digest_fields",
    "proof",
    "secret_of",
]

CREDENTIAL_FIELDS = ("Authorization", "Proxy-Authorization")

_MOST_REALMS = 4
"""Realms that one account answers: whoever names ever new ones is not a registrar."""
_DIGEST = re.compile(r"digest[ \t]+", re.IGNORECASE)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Algorithm(Enum):
    """The hash functions that we know, weakest first, by their registered names (RFC 7616 §6.1)."""

    MD5 = "MD5"
    MD5_SESS = "MD5-sess"
    SHA_256 = "SHA-256"
    SHA_256_SESS = "SHA-256-sess"

    @classmethod
    def named(cls, name: str) -> "Algorithm | None":
        """Find one by its name in any case; None if we do not know it."""
        return next((each for each in cls if each.value.lower() == name.lower()), None)

    @property
    def is_session(self) -> bool:
        """Whether the secret is hashed with the nonces once more (§3.4.2)."""
        return self in (Algorithm.MD5_SESS, Algorithm.SHA_256_SESS)

    @property
    def strength(self) -> int:
        return list(Algorithm).index(self)

    def hash(self, text: str | bytes) -> str:
        """H() of the RFC, in hexadecimal digits. Undecodable bytes of a peer are hashed as they came."""
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
        if self in (Algorithm.MD5, Algorithm.MD5_SESS):
            # The RFC's choice, not ours; RFC 8760 §2.1 keeps it for peers that know nothing better.
            return hashlib.md5(data, usedforsecurity=False).hexdigest()
        return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are at a registrar, a proxy or a callee."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One WWW-Authenticate or Proxy-Authenticate field that we can answer (RFC 7616 §3.3)."""

    realm: str
    nonce: str
    algorithm: Algorithm = Algorithm.MD5
    qop: str = ""
    """``auth``, ``auth-int``, or empty where the server is older than RFC 2617."""
    opaque: str | None = None
    is_stale: bool = False
    """The secret was right, only the nonce has had its time."""
    is_proxy: bool = False

    @classmethod
    def parse(cls, text: str, *, is_proxy: bool = False) -> "Challenge | None":
        """Read one field; None if its scheme, algorithm or protection is unknown to us.

        Raises:
            RemoteProtocolError: If it is malformed, or without realm or nonce.
        """
        if (fields := digest_fields(text)) is None:
            return None
        if "realm" not in fields or not fields.get("nonce"):
            raise RemoteProtocolError("a challenge without realm or nonce", rule="RFC 7616 §3.3")
        algorithm = Algorithm.named(fields.get("algorithm", "MD5"))
        offered = [qop.strip().lower() for qop in fields.get("qop", "").split(",") if qop.strip()]
        # auth-int breaks where a border controller rewrites the body: only where nothing else is offered.
        qop = next((known for known in ("auth", "auth-int") if known in offered), "")
        if algorithm is None or (offered and not qop):
            return None
        return cls(
            realm=fields["realm"],
            nonce=fields["nonce"],
            algorithm=algorithm,
            qop=qop,
            opaque=fields.get("opaque"),
            is_stale=fields.get("stale", "").lower() == "true",
            is_proxy=is_proxy,
        )


def digest_fields(text: str) -> dict[str, str] | None:
    """Read ``Digest name=value, …``; None for another scheme. What stands in quotes keeps its escapes.

    Raises:
        RemoteProtocolError: If it is malformed, or says something twice.
    """
    if (scheme := _DIGEST.match(text)) is None:
        return None
    fields: dict[str, str] = {}
    for part in split_list(text[scheme.end() :]):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not part:
            continue
        if value.startswith('"'):
            quoted = _QUOTED.fullmatch(value)
            value = quoted[1] if quoted is not None else ""
            equals = equals if quoted is not None else ""
        if not name or not equals or name.lower() in fields:
            raise RemoteProtocolError("not a list of digest parameters", rule="RFC 7616 §3.3")
        fields[name.lower()] = value
    return fields


def secret_of(algorithm: Algorithm, *, user: str, realm: str, password: str) -> str:
    """H(A1) without its session part (RFC 7616 §3.4.2): as good as the password, for this realm."""
    return algorithm.hash(f"{user}:{realm}:{password}")


def proof(
    algorithm: Algorithm,
    secret: str,
    *,
    nonce: str,
    method: str,
    uri: str,
    qop: str = "",
    count: str = "",
    cnonce: str = "",
    body: bytes = b"",
) -> str:
    """Compute the ``response`` of the credentials (RFC 7616 §3.4.1).

    Args:
        algorithm: Which hash.
        secret: See `secret_of`.
        nonce: The server's.
        method: Of the request.
        uri: Its Request-URI.
        qop: ``auth``, ``auth-int`` or empty.
        count: ``nc``, eight hexadecimal digits.
        cnonce: Ours.
        body: What ``auth-int`` protects.
    """
    if algorithm.is_session:
        secret = algorithm.hash(f"{secret}:{nonce}:{cnonce}")
    a2 = f"{method}:{uri}"
    if qop == "auth-int":
        a2 += f":{algorithm.hash(body)}"
    between = f"{nonce}:{count}:{cnonce}:{qop}" if qop else nonce
    return algorithm.hash(f"{secret}:{between}:{algorithm.hash(a2)}")


@dataclass(slots=True)
class _Known:
    """A challenge that we answer, and how often we have."""

    challenge: Challenge
    is_renewed: bool
    """It came instead of one that had been answered."""
    count: int = 0

    def is_final(self, following: Challenge) -> bool:
        """Whether the challenge that follows our answer to this one means no.

        Some servers forget to say that a nonce is stale: one that was good before counts as such.
        """
        if following.nonce == self.challenge.nonce or self.count > 1:
            return following.nonce == self.challenge.nonce
        return self.is_renewed or not following.is_stale


class DigestClient:
    """Answers challenges for one account, and remembers them: the next request need not be challenged.

    Args:
        credentials: Whose secret proves us. It is given to whatever realm the peer names: use one
            account for one peer.
        ids: For client nonces.
    """

    def __init__(self, credentials: Credentials, *, ids: IdSource) -> None:
        self._credentials = credentials
        self._ids = ids
        self._known: dict[tuple[str, bool], _Known] = {}

    def fields(self, method: str, uri: str, body: bytes = b"") -> list[tuple[str, str]]:
        """Credentials for one more request, one field for each realm known so far."""
        return [
            (CREDENTIAL_FIELDS[known.challenge.is_proxy], self._credentials_for(known, method, uri, body))
            for known in self._known.values()
        ]

    def challenged(self, response: Response, request: Request) -> bool:
        """Take in a 401 or 407.

        Returns:
            Whether the request may pass when it is sent `again`: not when fresh credentials were refused,
            which a wrong password is, nor when a fresh nonce is stale at its first use.
        """
        may_pass = False
        for challenge in _challenges(response):
            place = challenge.realm, challenge.is_proxy
            known = self._known.get(place)
            if known is None and len(self._known) >= _MOST_REALMS:
                return False
            is_answered = known is not None and request.headers.get(CREDENTIAL_FIELDS[place[1]]) is not None
            if known is not None and is_answered and known.is_final(challenge):
                del self._known[place]
                return False
            is_repeated = known is not None and known.challenge.nonce == challenge.nonce
            used = known.count if known is not None and is_repeated else 0
            self._known[place] = _Known(challenge, is_renewed=is_answered, count=used)
            may_pass = True
        return may_pass

    def again(self, request: Request, *, number: int, branch: str) -> Request:
        """Build the request anew with credentials, as a transaction of its own (RFC 3261 §22.2).

        Args:
            request: What was challenged.
            number: Its new CSeq number.
            branch: Its new branch.
        """
        parameters = "".join(
            f";{name}" if value is None else f";{name}={value}"
            for name, value in request.via.parameters
            if name.lower() != "branch"
        )
        via = request.via
        port = "" if via.port is None else f":{via.port}"
        fields = [("Via", f"SIP/2.0/{via.transport} {bracketed(via.host)}{port}{parameters};branch={branch}")]
        fields += request.headers.without("Via", "CSeq", *CREDENTIAL_FIELDS)
        fields.append(("CSeq", f"{number} {request.method}"))
        fields += self.fields(request.method, request.uri, request.body)
        return Request(request.method, request.uri, Headers(fields), request.body)

    def _credentials_for(self, known: _Known, method: str, uri: str, body: bytes) -> str:
        challenge, user = known.challenge, self._credentials.user
        algorithm, qop = challenge.algorithm, challenge.qop
        known.count += 1
        count = f"{known.count:08x}"
        needs_cnonce = bool(qop) or algorithm.is_session
        cnonce = self._ids.token(8) if needs_cnonce else ""
        secret = secret_of(algorithm, user=user, realm=challenge.realm, password=self._credentials.password)
        answer = proof(
            algorithm,
            secret,
            nonce=challenge.nonce,
            method=method,
            uri=uri,
            qop=qop,
            count=count,
            cnonce=cnonce,
            body=body,
        )
        parts = [
            f'username="{user}"',
            f'realm="{challenge.realm}"',
            f'nonce="{challenge.nonce}"',
            f'uri="{uri}"',
            f'response="{answer}"',
            f"algorithm={algorithm.value}",
        ]
        if needs_cnonce:
            parts.append(f'cnonce="{cnonce}"')
        if qop:
            parts += [f"qop={qop}", f"nc={count}"]
        if challenge.opaque is not None:
            parts.append(f'opaque="{challenge.opaque}"')
        return "Digest " + ", ".join(parts)


def carry_credentials(invite: Request, ack: Request) -> Request:
    """Give the ACK of a 2xx the credentials of its INVITE: nobody may challenge an ACK (RFC 3261 §22.1)."""
    for name in CREDENTIAL_FIELDS:
        for value in invite.headers.all(name):
            ack.headers.add(name, value)
    return ack


def _challenges(response: Response) -> list[Challenge]:
    """The strongest challenge of each realm, the first among equals (RFC 8760 §2.4); the rest is ignored."""
    best: dict[tuple[str, bool], Challenge] = {}
    if response.status not in (401, 407):
        return []
    for name, is_proxy in (("WWW-Authenticate", False), ("Proxy-Authenticate", True)):
        for text in response.headers.all(name):
            try:
                challenge = Challenge.parse(text, is_proxy=is_proxy)
            except RemoteProtocolError:
                continue
            if challenge is None:
                continue
            place = challenge.realm, is_proxy
            if place not in best or challenge.algorithm.strength > best[place].algorithm.strength:
                best[place] = challenge
    return list(best.values())

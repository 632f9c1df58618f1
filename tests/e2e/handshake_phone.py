"""A phone that makes its keys by DTLS on its media port, and lets libsrtp's own binding use them."""

import re
import time

import pylibsrtp

from bridge.aio.dtls import Association, Certificate, is_dtls
from bridge.errors import RemoteProtocolError
from bridge.rtp.ice import IceTerms
from bridge.rtp.srtp import SrtpKeys
from bridge.rtp.stun import BINDING_REQUEST, BINDING_SUCCESS, USE_CANDIDATE, USERNAME, StunMessage
from bridge.sip.dtls import DtlsTerms
from tests.e2e.bare_phone import BarePhone
from tests.e2e.secure_phone import SECRETS, SecurePhone

__all__ = ["HandshakePhone", "session", "value"]

_SUITE = "AEAD_AES_128_GCM"
_PROFILE = SECRETS[_SUITE][1]


class HandshakePhone(SecurePhone):
    """Calls over UDP/TLS/RTP/SAVP.

    Args:
        phone: Its sockets and signalling.
        setup: What its offer says of roles.
        has_ice: It has ICE, and checks the bridge's address before it says another word.
        lies: Its description names another certificate than it has.
        mux: Its reports share the port of its speech.
    """

    def __init__(
        self,
        phone: BarePhone,
        *,
        setup: str = "actpass",
        has_ice: bool = False,
        lies: bool = False,
        mux: bool = True,
    ) -> None:
        super().__init__(phone, _SUITE)
        self.keys: SrtpKeys | None = None
        self.captured: list[bytes] = []
        """Packets as they came, still encrypted."""
        self._setup = setup
        self._has_ice = has_ice
        self._lies = lies
        self._mux = mux

    def call(self, user: str, *, status: int = 200) -> None:
        """Call, and shake hands; `keys` stays None if the bridge does not like ours."""
        certificate = Certificate.make("phone")
        shown = Certificate.make("another") if self._lies else certificate
        lines = [f"a=fingerprint:sha-256 {shown.fingerprint}", f"a=setup:{self._setup}"]
        lines += ["a=rtcp-mux"] if self._mux else []
        if self._has_ice:
            lines += ["a=ice-ufrag:phone", f"a=ice-pwd:{'p' * 24}"]
        self.phone.invite(user, *lines, profile="UDP/TLS/RTP/SAVP", status=status)
        if status != 200:
            return
        self.phone.ack()
        answer = self.phone.answer
        assert " UDP/TLS/RTP/SAVP 0\r\n" in answer
        is_client = "a=setup:passive" in answer
        theirs = value(answer, "fingerprint:sha-256 ").replace(":", "").lower()
        if self._has_ice:
            self.check(IceTerms(value(answer, "ice-ufrag:"), value(answer, "ice-pwd:")))
        self._shake(Association(certificate, DtlsTerms(is_client, (("sha-256", theirs),))))

    def check(self, ice: IceTerms, *, nominates: bool = True) -> bool:
        """Check the bridge's address; whether it agreed."""
        attributes = [(USERNAME, f"{ice.ufrag}:phone".encode())] + [(USE_CANDIDATE, b"")] * nominates
        request = StunMessage(BINDING_REQUEST, bytes(range(12)), tuple(attributes))
        self.phone.rtp.sendto(request.signed(ice.password.encode()), self.phone.media)
        self.phone.rtp.settimeout(5)
        while (data := self.phone.rtp.recv(2048))[0] > 3:
            pass
        return StunMessage.parse(data).kind == BINDING_SUCCESS

    def _shake(self, association: Association) -> None:
        rtp = self.phone.rtp
        until_s = time.monotonic() + 8
        association.begin()
        while association.keys is None:
            for datagram in association.drain():
                rtp.sendto(datagram, self.phone.media)
            rtp.settimeout(max(0.01, min(association.timeout_s or 1, until_s - time.monotonic())))
            try:
                data = rtp.recv(2048)
            except TimeoutError:
                if time.monotonic() > until_s:
                    return
                association.handle_timeout()
                continue
            if is_dtls(data):
                try:
                    association.receive(data)
                except RemoteProtocolError:
                    return
        for datagram in association.drain():
            rtp.sendto(datagram, self.phone.media)
        self.keys = association.keys
        assert association.keys.suite == _SUITE
        self._sender = session(association.keys.tx, inbound=False)
        self._receiver = session(association.keys.rx, inbound=True)

    def _took(self, data: bytes) -> None:
        self.captured.append(data)


def session(secret: str, *, inbound: bool) -> pylibsrtp.Session:
    """Whoever holds this key and salt, in hexadecimal."""
    policy = pylibsrtp.Policy
    kind = policy.SSRC_ANY_INBOUND if inbound else policy.SSRC_ANY_OUTBOUND
    return pylibsrtp.Session(policy(bytes.fromhex(secret), kind, 0, _PROFILE))


def value(answer: str, name: str) -> str:
    """What the answer says behind ``a=`` and this name."""
    found = re.search(rf"^a={name}(\S+)", answer, re.MULTILINE)
    assert found is not None, answer
    return found[1]

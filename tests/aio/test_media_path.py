import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bridge.aio.dtls import Association, Certificate
from bridge.aio.media_path import MediaPath
from bridge.errors import NegotiationError
from bridge.rtp.ice import IceTerms
from bridge.rtp.stun import BINDING_REQUEST, USE_CANDIDATE, USERNAME, StunMessage
from bridge.sip.dtls import DtlsTerms
from bridge.sip.stream import Negotiated

OURS, THEIRS = Certificate.make("ours"), Certificate.make("theirs")
ICE = IceTerms("ours", "p" * 32, "theirs")
AGREED = Negotiated(0, 0, -1, None, True, True, held=False)


def terms(certificate: Certificate, *, is_client: bool, name: str = "") -> DtlsTerms:
    digest = certificate.fingerprint.replace(":", "").lower()
    return DtlsTerms(is_client, (("sha-256", digest),), name)


def bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


class Net:
    """Our port, the peer's, and paths over them."""

    def __init__(self) -> None:
        self.ours, self.theirs, self.other = bound(), bound(), bound()
        self.paths: list[MediaPath] = []

    @property
    def here(self) -> tuple[str, int]:
        return self.ours.getsockname()  # type: ignore[no-any-return]

    @property
    def there(self) -> tuple[str, int]:
        return self.theirs.getsockname()  # type: ignore[no-any-return]

    def path(self, *, ours: bool = True, latch_ip: str | None = None) -> MediaPath:
        sock, certificate = (self.ours, OURS) if ours else (self.theirs, THEIRS)
        made = MediaPath(sock, certificate, latch_ip=latch_ip)
        made.listen()
        self.paths.append(made)
        return made

    def close(self) -> None:
        for path in self.paths:
            path.close()
        for sock in (self.ours, self.theirs, self.other):
            sock.close()


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    made = Net()
    yield made
    made.close()


@pytest.fixture(params=[True, False], ids=["client", "server"])
def is_client(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def check(*, nominates: bool, password: str = ICE.password) -> bytes:
    attributes = [(USERNAME, b"ours:theirs"), *([(USE_CANDIDATE, b"")] if nominates else [])]
    return StunMessage(BINDING_REQUEST, bytes(12), tuple(attributes)).signed(password.encode())


async def heard(sock: socket.socket) -> bytes:
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 2000), 5)


async def test_two_ends_make_keys_over_their_media_ports(net: Net, is_client: bool) -> None:
    ours, theirs = net.path(), net.path(ours=False)

    ours.agree(replace(AGREED, remote=net.there, dtls=terms(THEIRS, is_client=is_client)))
    theirs.agree(replace(AGREED, remote=net.here, dtls=terms(OURS, is_client=not is_client)))
    await asyncio.wait_for(asyncio.gather(ours.ready, theirs.ready), 5)

    assert ours.keys is not None
    assert theirs.keys is not None
    assert (ours.keys.tx, ours.keys.rx) == (theirs.keys.rx, theirs.keys.tx)
    assert ours.remote == net.there


async def test_a_lost_last_word_is_said_again_when_the_peer_asks(net: Net) -> None:
    ours, theirs = net.path(), net.path(ours=False)
    ours.hand_over()
    theirs.agree(replace(AGREED, remote=net.here, dtls=terms(OURS, is_client=True)))
    association = Association(OURS, terms(THEIRS, is_client=False))
    loop = asyncio.get_running_loop()
    while association.keys is None:
        association.receive(await asyncio.wait_for(loop.sock_recv(net.ours, 2000), 5))
        if association.keys is None:
            for datagram in association.drain():
                net.ours.sendto(datagram, net.there)
    assert association.drain()  # It is lost.

    association.receive(await asyncio.wait_for(loop.sock_recv(net.ours, 2000), 5))
    for datagram in association.drain():
        net.ours.sendto(datagram, net.there)

    await asyncio.wait_for(theirs.ready, 5)
    assert theirs.keys is not None
    assert theirs.keys.tx == association.keys.rx


async def test_another_certificate_ends_it(net: Net) -> None:
    ours, theirs = net.path(), net.path(ours=False)

    ours.agree(replace(AGREED, remote=net.there, dtls=terms(OURS, is_client=False)))
    theirs.agree(replace(AGREED, remote=net.here, dtls=terms(OURS, is_client=True)))

    with pytest.raises(NegotiationError, match="not the one of the description"):
        await asyncio.wait_for(ours.ready, 5)
    assert ours.keys is None


async def test_a_handshake_from_elsewhere_is_not_heard(net: Net) -> None:
    ours, theirs = net.path(), Association(THEIRS, terms(OURS, is_client=True))
    ours.agree(replace(AGREED, remote=("192.0.2.7", 4000), dtls=terms(THEIRS, is_client=False)))
    theirs.begin()

    for datagram in theirs.drain():
        ours.take(datagram, net.there)

    with pytest.raises(BlockingIOError):
        net.theirs.recv(2000)


async def test_a_peer_behind_nat_is_where_its_handshake_comes_from(net: Net) -> None:
    ours, theirs = net.path(latch_ip="127.0.0.1"), net.path(ours=False)

    ours.agree(replace(AGREED, remote=("192.0.2.7", 4000), dtls=terms(THEIRS, is_client=False)))
    theirs.agree(replace(AGREED, remote=net.here, dtls=terms(OURS, is_client=True)))
    await asyncio.wait_for(ours.ready, 5)

    assert ours.remote == net.there


async def test_with_ice_the_peer_says_where_it_is_and_then_the_handshake_begins(net: Net) -> None:
    ours = net.path()
    ours.agree(replace(AGREED, ice=ICE, dtls=terms(THEIRS, is_client=True)))
    assert ours.has_ice
    net.theirs.sendto(check(nominates=False), net.here)
    assert StunMessage.parse(await heard(net.theirs)).kind == 0x0101
    assert ours.remote is None

    net.theirs.sendto(check(nominates=True), net.here)
    assert StunMessage.parse(await heard(net.theirs)).kind == 0x0101
    hello = await heard(net.theirs)

    assert hello[0] == 22
    assert ours.remote == net.there
    assert not ours.ready.done()


async def test_only_the_right_credentials_move_our_media(net: Net) -> None:
    moved: list[object] = []
    ours = net.path()
    ours.agree(replace(AGREED, remote=net.there, ice=ICE))
    ours.on_change = lambda: moved.append(ours.remote)
    await ours.ready

    net.other.sendto(check(nominates=True, password="guessed"), net.here)
    assert StunMessage.parse(await heard(net.other)).kind == 0x0111
    assert (moved, ours.remote) == ([], net.there)
    net.other.sendto(check(nominates=True), net.here)
    assert StunMessage.parse(await heard(net.other)).kind == 0x0101

    assert moved == [net.other.getsockname()]


async def test_a_handshake_from_an_address_without_checks_is_not_heard(net: Net) -> None:
    ours, theirs = net.path(), Association(THEIRS, terms(OURS, is_client=True))
    ours.agree(replace(AGREED, remote=net.there, ice=ICE, dtls=terms(THEIRS, is_client=False)))
    theirs.begin()
    (hello,) = theirs.drain()

    ours.take(hello, net.there)
    with pytest.raises(BlockingIOError):
        net.theirs.recv(2000)
    ours.take(check(nominates=False), net.there)
    assert (await heard(net.theirs))[0] == 1
    ours.take(hello, net.there)

    assert (await heard(net.theirs))[0] == 22


async def test_two_lite_ends_go_by_their_descriptions(net: Net) -> None:
    ours = net.path()

    ours.agree(replace(AGREED, remote=net.there, ice=replace(ICE, is_peer_lite=True)))

    await ours.ready
    assert not ours.has_ice


async def test_a_new_association_makes_new_keys_and_the_old_ones_serve_till_then(net: Net) -> None:
    ours, theirs = net.path(), net.path(ours=False)
    told: list[object] = []
    ours.agree(replace(AGREED, remote=net.there, dtls=terms(THEIRS, is_client=False)))
    theirs.agree(replace(AGREED, remote=net.here, dtls=terms(OURS, is_client=True)))
    await asyncio.wait_for(asyncio.gather(ours.ready, theirs.ready), 5)
    changed, before = asyncio.Event(), ours.keys
    ours.on_change = changed.set
    theirs.on_end = told.append

    # The same again is the same; the peer's new association begins with its own word.
    ours.agree(replace(AGREED, remote=net.there, dtls=terms(THEIRS, is_client=False)))
    ours.agree(replace(AGREED, remote=net.there, dtls=terms(THEIRS, is_client=False, name="second")))
    assert ours.keys == before
    theirs.agree(replace(AGREED, remote=net.here, dtls=terms(OURS, is_client=True, name="second")))
    await asyncio.wait_for(changed.wait(), 5)

    assert ours.keys is not None
    assert before is not None
    assert ours.keys.tx != before.tx


async def test_goodbye_ends_the_call(net: Net) -> None:
    ours, theirs = net.path(), net.path(ours=False)
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    ours.on_end = ended.set_result
    ours.agree(replace(AGREED, remote=net.there, dtls=terms(THEIRS, is_client=False)))
    theirs.agree(replace(AGREED, remote=net.here, dtls=terms(OURS, is_client=True)))
    await asyncio.wait_for(asyncio.gather(ours.ready, theirs.ready), 5)

    theirs.close()

    assert await asyncio.wait_for(ended, 5) == "peer closed its media"


async def test_after_the_handover_datagrams_come_by_hand(net: Net) -> None:
    ours = net.path()
    ours.agree(replace(AGREED, remote=net.there, ice=ICE))
    ours.hand_over()
    net.theirs.sendto(check(nominates=True), net.here)

    ours.take(check(nominates=True), net.there)
    ours.take(b"\x80rtp", net.there)

    assert StunMessage.parse(await heard(net.theirs)).kind == 0x0101


async def test_checks_of_a_call_without_ice_get_no_answer(net: Net) -> None:
    ours = net.path()
    ours.agree(replace(AGREED, remote=net.there))

    ours.take(check(nominates=True), net.other.getsockname())

    assert ours.remote == net.there

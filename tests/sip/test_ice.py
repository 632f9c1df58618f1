import pytest

from bridge.sip.ice import IceParty, IcePolicy, attributes_of
from bridge.sip.sdp import Media
from tests.fakes import SeededIds

PUBLIC, PRIVATE = "8.8.8.8", "192.168.1.7"
PASSWORD = "p" * 22


def party(policy: IcePolicy) -> IceParty:
    return IceParty(policy, SeededIds(1))


def stream(ufrag: str = "frag", password: str = PASSWORD, *more: str) -> Media:
    attributes: list[tuple[str, str | None]] = [("ice-ufrag", ufrag), ("ice-pwd", password)]
    attributes += [(name, None) for name in ("rtcp-mux", *more)]
    return Media("audio", 4000, "RTP/AVP", ("0",), None, tuple(attributes))


@pytest.mark.parametrize(
    ("policy", "ip", "is_dtls", "is_done"),
    [
        ("off", PUBLIC, True, False),
        ("always", PRIVATE, False, True),
        ("auto", PRIVATE, False, False),
        ("auto", PRIVATE, True, True),
        ("auto", PUBLIC, False, True),
    ],
)
def test_the_policy_says_whom_we_do_it_with(policy: IcePolicy, ip: str, is_dtls: bool, is_done: bool) -> None:
    ours = party(policy)

    assert ours.takes(stream(), ip=ip, is_dtls=is_dtls) is is_done
    assert (ours.answer(stream(), ip=ip, is_dtls=is_dtls) is not None) is is_done
    assert not ours.takes(without_mux(), ip=ip, is_dtls=is_dtls)


def without_mux() -> Media:
    media = stream()
    return Media(media.kind, media.port, media.protocol, media.formats, None, media.attributes[:2])


def test_our_offers_have_it_where_that_is_wanted_and_in_calls_that_have_it() -> None:
    ours = party("auto")

    assert party("off").offer() is None
    assert ours.offer() is None
    assert party("always").offer() is not None
    agreed = ours.answer(stream(), ip=PUBLIC, is_dtls=False)
    again = ours.offer()
    assert agreed is not None
    assert again is not None
    assert (again.ufrag, again.password) == (agreed.ufrag, agreed.password)


@pytest.mark.parametrize(
    "media", [stream("abc"), stream(password="short"), Media("audio", 4, "RTP/AVP", ("0",))]
)
def test_who_has_no_name_and_secret_goes_without(media: Media) -> None:
    ours = party("always")

    assert not ours.takes(media, ip=PUBLIC, is_dtls=True)
    assert ours.answer(media, ip=PUBLIC, is_dtls=True) is None
    assert ours.accept(media) is None


def test_name_and_secret_last_until_the_peer_restarts() -> None:
    ours = party("always")
    first = ours.answer(stream(), ip=PUBLIC, is_dtls=False)
    again = ours.answer(stream(), ip=PUBLIC, is_dtls=False)
    restarted = ours.answer(stream("other"), ip=PUBLIC, is_dtls=False)

    assert first is not None
    assert restarted is not None
    assert first == again
    assert first.peer_ufrag == "frag"
    assert (restarted.ufrag, restarted.password) != (first.ufrag, first.password)
    # RFC 8839 §5.4: 24 bits of name and 128 of secret at least.
    assert len(first.ufrag) >= 4
    assert len(first.password) >= 22


def test_an_offer_of_ours_is_completed_by_the_answer() -> None:
    ours = party("always")
    offered = ours.offer()

    agreed = ours.accept(stream("frag", PASSWORD, "ice-lite"))

    assert offered is not None
    assert agreed is not None
    assert (agreed.ufrag, agreed.password) == (offered.ufrag, offered.password)
    assert agreed.is_peer_lite


def test_a_lite_end_has_one_candidate() -> None:
    terms = party("always").offer()

    assert terms is not None
    assert attributes_of(terms, PUBLIC, 16384) == (
        ("ice-ufrag", terms.ufrag),
        ("ice-pwd", terms.password),
        ("ice-options", "ice2"),
        ("candidate", "1 1 UDP 2130706431 8.8.8.8 16384 typ host"),
        ("end-of-candidates", None),
    )

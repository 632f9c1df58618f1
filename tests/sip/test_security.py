import pytest

from bridge.errors import NegotiationError
from bridge.rtp.srtp import CLEAR
from bridge.sip.crypto import MediaCrypto, SrtpPolicy
from bridge.sip.dtls import DtlsParty
from bridge.sip.sdp import Attributes, Media
from bridge.sip.security import KeyMethod, MediaSecurity
from tests.fakes import SeededIds

KEY = ("crypto", "1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40)
FINGERPRINT = ("fingerprint", "sha-256 " + ":".join(["0F"] * 32))
SETUP = ("setup", "actpass")
BOTH: tuple[KeyMethod, ...] = ("sdes", "dtls")


def security(policy: SrtpPolicy, methods: tuple[KeyMethod, ...] = BOTH, *, seed: int = 1) -> MediaSecurity:
    ids = SeededIds(seed)
    return MediaSecurity(
        policy,
        crypto=MediaCrypto(policy, ids) if "sdes" in methods else None,
        dtls=DtlsParty(":".join(["AB"] * 32), ids) if "dtls" in methods else None,
        first=methods[0],
    )


def stream(profile: str, *attributes: tuple[str, str | None]) -> Media:
    return Media("audio", 4000, profile, ("0",), None, attributes)


CLEAR_STREAM = stream("RTP/AVP", KEY, FINGERPRINT)
SDES_STREAM = stream("RTP/SAVP", KEY)
DTLS_STREAM = stream("UDP/TLS/RTP/SAVPF", FINGERPRINT, SETUP)


@pytest.mark.parametrize(
    ("policy", "methods", "taken"),
    [
        ("off", BOTH, (True, False, False)),
        ("preferred", BOTH, (True, True, True)),
        ("required", BOTH, (False, True, True)),
        ("required", ("sdes",), (False, True, False)),
        ("required", ("dtls",), (False, False, True)),
    ],
)
def test_policy_and_methods_say_what_is_taken(
    policy: SrtpPolicy, methods: tuple[KeyMethod, ...], taken: tuple[bool, bool, bool]
) -> None:
    ours = security(policy, methods)

    assert tuple(map(ours.takes, (CLEAR_STREAM, SDES_STREAM, DTLS_STREAM))) == taken
    assert ours.is_dtls(DTLS_STREAM) is taken[2]
    assert not ours.is_dtls(SDES_STREAM)
    assert not ours.takes(stream("TCP/TLS/RTP/SAVP", FINGERPRINT, SETUP))


@pytest.mark.parametrize("profile", ["RTP/AVP", "RTP/AVPF"])
def test_a_clear_stream_is_answered_in_its_own_profile(profile: str) -> None:
    for ours in (security("preferred"), security("preferred", ("dtls",))):
        secured = ours.answer(stream(profile))

        assert (secured.profile, secured.attributes, secured.srtp, secured.dtls) == (profile, (), CLEAR, None)


def test_keys_in_the_description_are_answered_with_keys() -> None:
    secured = security("preferred").answer(stream("RTP/SAVPF", KEY, FINGERPRINT, SETUP))

    assert secured.profile == "RTP/SAVPF"
    assert [name for name, _ in secured.attributes] == ["crypto"]
    assert secured.srtp.suite == "AES_CM_128_HMAC_SHA1_80"


@pytest.mark.parametrize("profile", ["UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF", "RTP/SAVPF", "RTP/SAVP"])
def test_a_fingerprint_alone_asks_for_a_handshake(profile: str) -> None:
    secured = security("preferred").answer(stream(profile, FINGERPRINT, SETUP))

    assert secured.profile == profile
    assert secured.dtls is not None
    assert secured.srtp == CLEAR
    assert ("setup", "passive") in secured.attributes


def test_a_call_does_not_change_to_a_handshake_or_from_it() -> None:
    by_keys, by_handshake = security("preferred"), security("preferred")
    by_keys.answer(SDES_STREAM)
    by_handshake.answer(DTLS_STREAM)

    assert by_keys.takes(CLEAR_STREAM)
    assert not by_keys.takes(DTLS_STREAM)
    assert by_handshake.takes(DTLS_STREAM)
    assert not by_handshake.takes(CLEAR_STREAM)
    assert not by_handshake.takes(SDES_STREAM)


@pytest.mark.parametrize(
    ("policy", "methods", "profile", "names"),
    [
        ("off", BOTH, "RTP/AVP", set()),
        ("preferred", BOTH, "RTP/AVP", set()),
        ("required", BOTH, "RTP/SAVP", {"crypto"}),
        ("required", ("dtls", "sdes"), "UDP/TLS/RTP/SAVP", {"fingerprint", "setup", "tls-id"}),
        ("required", ("dtls",), "UDP/TLS/RTP/SAVP", {"fingerprint", "setup", "tls-id"}),
        ("preferred", ("dtls",), "RTP/AVP", set()),
    ],
)
def test_an_offer_is_secured_by_the_first_method_where_that_is_required(
    policy: SrtpPolicy, methods: tuple[KeyMethod, ...], profile: str, names: set[str]
) -> None:
    secured = security(policy, methods).offer()

    assert secured.profile == profile
    assert {name for name, _ in secured.attributes} == names


@pytest.mark.parametrize("profile", ["UDP/TLS/RTP/SAVPF", "RTP/SAVPF"])
def test_within_a_call_an_offer_says_what_was_agreed(profile: str) -> None:
    ours = security("preferred")
    told = ours.answer(stream(profile, FINGERPRINT, SETUP)).attributes

    again = ours.offer()

    assert again.profile == profile
    assert again.attributes[0] == told[0]
    agreed = ours.accept(stream(profile, FINGERPRINT, ("setup", "active")))
    assert agreed.dtls is not None
    assert not agreed.dtls.is_client


@pytest.mark.parametrize("profile", ["RTP/AVPF", "RTP/SAVPF"])
def test_a_stream_keeps_its_profile_in_our_offers(profile: str) -> None:
    ours = security("preferred")
    ours.answer(stream(profile, KEY))

    again = ours.offer()

    assert again.profile == profile
    assert ours.accept(stream(profile, KEY)).profile == profile


@pytest.mark.parametrize("methods", [("sdes", "dtls"), ("dtls", "sdes")])
def test_both_ends_come_to_the_same(methods: tuple[KeyMethod, ...]) -> None:
    ours, theirs = security("required", methods), security("preferred", seed=2)

    def answer(attributes: Attributes, profile: str) -> Media:
        return stream(profile, *attributes)

    offer = ours.offer()
    told = theirs.answer(answer(offer.attributes, offer.profile))
    agreed = ours.accept(answer(told.attributes, told.profile))

    assert (agreed.srtp.tx, agreed.srtp.rx) == (told.srtp.rx, told.srtp.tx)
    assert (agreed.dtls is None) is (methods[0] == "sdes")


def test_a_clear_answer_to_a_clear_offer_has_no_keys() -> None:
    for ours in (security("preferred"), security("preferred", ("dtls",))):
        ours.offer()

        assert ours.accept(stream("RTP/AVP")).srtp == CLEAR


@pytest.mark.parametrize(
    ("methods", "media"),
    [
        (BOTH, CLEAR_STREAM),
        (BOTH, DTLS_STREAM),
        (("dtls", "sdes"), SDES_STREAM),
        (("dtls", "sdes"), stream("UDP/TLS/RTP/SAVP", SETUP)),
    ],
)
def test_an_answer_that_was_not_offered_is_refused(methods: tuple[KeyMethod, ...], media: Media) -> None:
    ours = security("required", methods)
    ours.offer()

    with pytest.raises(NegotiationError):
        ours.accept(media)

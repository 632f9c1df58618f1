import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import NegotiationError
from bridge.sip.dtls import DtlsParty, DtlsTerms
from bridge.sip.sdp import Media
from tests.fakes import SeededIds

OURS = ":".join(["AB"] * 32)
SHA_256 = "sha-256 " + ":".join(["0F"] * 32)
SHA_512 = "SHA-512 " + ":".join(["c3"] * 64)
THEIRS = (("sha-256", "0f" * 32),)
NAME = "a-name-of-twenty-characters"


def party() -> DtlsParty:
    return DtlsParty(OURS, SeededIds(1))


def stream(*attributes: tuple[str, str | None]) -> Media:
    return Media("audio", 4000, "UDP/TLS/RTP/SAVP", ("0",), None, attributes)


def offered(setup: str = "actpass", name: str = NAME, fingerprint: str = SHA_256) -> Media:
    return stream(("fingerprint", fingerprint), ("setup", setup), ("tls-id", name))


@pytest.mark.parametrize(
    ("setup", "answered"), [("actpass", "passive"), ("active", "passive"), ("passive", "active")]
)
def test_an_offer_is_answered_with_the_other_role_and_we_wait_where_we_may(setup: str, answered: str) -> None:
    ours = party()

    terms, attributes = ours.answer(offered(setup))

    assert terms == DtlsTerms(answered == "active", THEIRS, NAME)
    assert attributes[:2] == (("fingerprint", f"sha-256 {OURS}"), ("setup", answered))
    assert attributes[2][0] == "tls-id"
    assert len(attributes[2][1] or "") >= 20


def test_who_names_no_association_is_told_no_name() -> None:
    terms, attributes = party().answer(stream(("fingerprint", SHA_256), ("setup", "ACTPASS")))

    assert terms.peer_id == ""
    assert [name for name, _ in attributes] == ["fingerprint", "setup"]


def test_without_a_role_the_offerer_begins() -> None:
    terms, attributes = party().answer(stream(("fingerprint", SHA_256)))

    assert not terms.is_client
    assert attributes[1] == ("setup", "passive")


@pytest.mark.parametrize(
    "attributes",
    [
        (("setup", "actpass"),),
        (("fingerprint", SHA_256), ("setup", "holdconn")),
        (("fingerprint", SHA_256[:-3]), ("setup", "actpass")),
        (("fingerprint", "md5 " + ":".join(["0F"] * 16)),),
        (("fingerprint", "sha-1 " + ":".join(["0F"] * 20)),),
        (("fingerprint", None),),
    ],
)
def test_what_cannot_be_checked_is_not_taken(attributes: tuple[tuple[str, str | None], ...]) -> None:
    assert not party().takes(stream(*attributes))


def test_of_several_fingerprints_those_of_the_strongest_hash_count() -> None:
    media = stream(("fingerprint", SHA_256), ("fingerprint", SHA_512), ("fingerprint", "nonsense"))

    assert party().takes(media)
    assert party().answer(media)[0].fingerprints == (("sha-512", "c3" * 64),)


def test_an_association_stays_with_its_roles_and_names() -> None:
    ours = party()
    first, told = ours.answer(offered("passive"))

    again, repeated = ours.answer(offered("actpass"))

    assert again == first
    assert repeated == told


@pytest.mark.parametrize(
    "later", [offered(name=NAME + "-2"), offered(fingerprint=SHA_512), offered(setup="passive")]
)
def test_another_association_has_another_name_of_ours(later: Media) -> None:
    ours = party()
    first, told = ours.answer(offered())

    again, repeated = ours.answer(later)

    assert again != first
    assert dict(repeated)["tls-id"] != dict(told)["tls-id"]


def test_our_offer_leaves_the_role_open_and_the_answer_decides() -> None:
    ours, theirs = party(), DtlsParty(":".join(["0F"] * 32), SeededIds(2))
    offer = ours.offer()

    assert dict(offer)["setup"] == "actpass"
    their_terms, answer = theirs.answer(stream(*offer))
    our_terms = ours.accept(stream(*answer))

    assert their_terms.is_client is not our_terms.is_client
    assert our_terms.fingerprints == THEIRS
    assert ours.offer() == offer
    assert ours.accept(stream(*answer)) == our_terms


def test_an_answer_without_a_role_waits() -> None:
    assert party().accept(stream(("fingerprint", SHA_256))).is_client


@pytest.mark.parametrize("media", [stream(("setup", "active")), offered("actpass"), offered("holdconn")])
def test_an_answer_that_decides_nothing_is_refused(media: Media) -> None:
    with pytest.raises(NegotiationError):
        party().accept(media)


@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=40))
def test_any_text_is_taken_or_not(fingerprint: str, setup: str, name: str) -> None:
    media = stream(("fingerprint", fingerprint), ("setup", setup), ("tls-id", name))

    if party().takes(media):
        party().answer(media)

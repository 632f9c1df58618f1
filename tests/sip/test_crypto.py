import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import NegotiationError
from bridge.rtp.srtp import CLEAR, SUITES
from bridge.sip.crypto import CryptoLine, MediaCrypto, SrtpPolicy
from bridge.sip.sdp import Media
from tests.fakes import SeededIds

CM, GCM = "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"
KEY = base64.b64encode(bytes(range(30))).decode()
GCM_KEY = base64.b64encode(bytes(range(28))).decode()


def crypto(policy: SrtpPolicy, seed: int = 1) -> MediaCrypto:
    return MediaCrypto(policy, SeededIds(seed))


def stream(*values: str, protocol: str = "RTP/SAVP") -> Media:
    return Media("audio", 4000, protocol, ("0",), None, tuple(("crypto", value) for value in values))


@given(tag=st.integers(0, 999_999_999), suite=st.sampled_from(list(SUITES)), data=st.data())
def test_a_line_that_we_write_reads_back(tag: int, suite: str, data: st.DataObject) -> None:
    need = SUITES[suite].secret_bytes
    line = CryptoLine(tag, suite, data.draw(st.binary(min_size=need, max_size=need)))

    assert CryptoLine.parse(line.value) == line


def test_the_example_of_rfc_4568_is_read() -> None:
    # §9.1's example with its lifetime; its identifier is refused below.
    value = "1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20"

    line = CryptoLine.parse(value)

    assert (line.tag, line.suite) == (1, CM)
    assert line.secret == base64.b64decode("PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR")


@pytest.mark.parametrize(
    "value",
    [
        f" 07  aes_cm_128_hmac_sha1_80\tinline:{KEY} ",
        f"7 {CM} inline:{KEY}|2^48",
        f"7 {CM} inline:{KEY}|1048576",
        f"7 {CM} inline:{KEY} WSH=64 KDR=0 -x-vendor=3",
    ],
)
def test_spaces_lifetimes_and_hints_change_nothing(value: str) -> None:
    assert CryptoLine.parse(value) == CryptoLine(7, CM, bytes(range(30)))


def test_a_key_without_its_padding_is_read() -> None:
    assert GCM_KEY.endswith("==")
    assert CryptoLine.parse(f"1 {GCM} inline:{GCM_KEY.rstrip('=')}").secret == bytes(range(28))


@pytest.mark.parametrize(
    "value",
    [
        "",
        f"x {CM} inline:{KEY}",
        f"1234567890 {CM} inline:{KEY}",
        f"1 {CM}",
        f"1 F8_128_HMAC_SHA1_80 inline:{KEY}",
        f"1 {CM} inline:{KEY}|2^20|1:4",
        f"1 {CM} inline:{KEY}|1:4",
        f"1 {CM} inline:{KEY};inline:{KEY}",
        f"1 {CM} inline:{KEY}|2^19",
        f"1 {CM} inline:{KEY}|1048575",
        f"1 {CM} inline:{KEY[:-4]}",
        f"1 {CM} inline:{KEY}AAAA",
        f"1 {CM} inline:{KEY[:-3]}",
        f"1 {CM} uri:{KEY}",
        f"1 {CM} inline:{KEY} UNENCRYPTED_SRTP",
        f"1 {CM} inline:{KEY} UNENCRYPTED_SRTCP",
        f"1 {CM} inline:{KEY} UNAUTHENTICATED_SRTP",
        f"1 {CM} inline:{KEY} KDR=10",
        f"1 {CM} inline:{KEY} FEC_ORDER=FEC_SRTP",
        f"1 {CM} inline:{KEY} unheard-of",
        f"1 {GCM} inline:{KEY}",
    ],
)
def test_what_we_do_not_do_is_refused_and_its_key_not_repeated(value: str) -> None:
    with pytest.raises(NegotiationError) as refused:
        CryptoLine.parse(value)

    assert KEY[:12] not in str(refused.value)


@given(st.text(max_size=120))
def test_any_text_is_read_or_refused(value: str) -> None:
    with contextlib.suppress(NegotiationError):
        CryptoLine.parse(value)


def test_a_line_never_shows_its_key() -> None:
    line = CryptoLine.parse(f"1 {CM} inline:{KEY}")

    assert repr(line) == f"CryptoLine(tag=1, suite={CM!r})"


@pytest.mark.parametrize(
    ("policy", "clear", "secured"),
    [("off", True, False), ("preferred", True, True), ("required", False, True)],
)
def test_the_policy_says_which_profiles_are_taken(policy: SrtpPolicy, clear: bool, secured: bool) -> None:
    ours = crypto(policy)

    assert ours.takes(stream(protocol="RTP/AVP")) is clear
    # A key without the profile means nothing, a profile without a usable key no more.
    assert ours.takes(stream(f"1 {CM} inline:{KEY}", protocol="RTP/AVP")) is clear
    assert ours.takes(stream(f"1 {CM} inline:{KEY}")) is secured
    assert ours.takes(stream(f"1 {CM} inline:{KEY} KDR=3")) is False
    assert ours.takes(stream()) is False
    assert ours.takes(stream(f"1 {CM} inline:{KEY}", protocol="RTP/SAVPF")) is secured
    assert ours.takes(stream(protocol="RTP/AVPF")) is clear
    assert ours.takes(stream(f"1 {CM} inline:{KEY}", protocol="RTP/XAVP")) is False


def test_the_answer_takes_the_first_usable_line_under_its_number_with_a_key_of_our_own() -> None:
    offered = stream(
        f"4 F8_128_HMAC_SHA1_80 inline:{KEY}", f"9 {CM} inline:{KEY}", f"2 {GCM} inline:{GCM_KEY}"
    )

    keys, (line,) = crypto("preferred").answer(offered)

    assert (line.tag, line.suite) == (9, CM)
    assert line.secret not in (bytes(range(30)), bytes(30))
    assert (keys.suite, keys.tx, keys.rx) == (CM, line.secret.hex(), bytes(range(30)).hex())


def test_attributes_of_other_names_and_lines_without_value_are_passed_over() -> None:
    media = Media(
        "audio",
        4,
        "RTP/SAVP",
        ("0",),
        None,
        (("ptime", "20"), ("crypto", None), ("crypto", f"1 {CM} inline:{KEY}")),
    )

    assert crypto("required").answer(media)[0].suite == CM


def test_a_later_answer_keeps_our_key_and_takes_the_peers_new_one() -> None:
    ours, other = crypto("preferred"), base64.b64encode(bytes(range(1, 31))).decode()

    first, _ = ours.answer(stream(f"1 {CM} inline:{KEY}"))
    second, _ = ours.answer(stream(f"3 {CM} inline:{other}"))

    assert second.tx == first.tx
    assert second.rx != first.rx


@pytest.mark.parametrize("between", [stream(f"1 {GCM} inline:{GCM_KEY}"), stream(protocol="RTP/AVP")])
def test_a_key_that_was_left_is_never_come_back_to(between: Media) -> None:
    ours = crypto("preferred")
    first, _ = ours.answer(stream(f"1 {CM} inline:{KEY}"))
    ours.answer(between)

    again, _ = ours.answer(stream(f"1 {CM} inline:{KEY}"))

    assert again.rx == first.rx
    assert again.tx != first.tx


def test_a_clear_stream_is_answered_without_keys() -> None:
    assert crypto("preferred").answer(stream(protocol="RTP/AVP")) == (CLEAR, ())


def test_only_required_encryption_is_offered_and_then_every_suite_has_its_own_key() -> None:
    assert crypto("off").offer() == crypto("preferred").offer() == MediaCrypto().offer() == ()

    lines = crypto("required").offer()

    assert [(line.tag, line.suite) for line in lines] == list(enumerate(SUITES, start=1))
    assert len({line.secret for line in lines}) == len(SUITES)


def test_within_a_call_what_was_agreed_is_offered_again_and_nothing_else() -> None:
    ours = crypto("preferred")
    keys, _ = ours.answer(stream(f"5 {CM} inline:{KEY}"))

    (line,) = ours.offer()

    assert (line.suite, line.secret.hex()) == (CM, keys.tx)
    ours.answer(stream(protocol="RTP/AVP"))
    assert ours.offer() == ()


def test_both_ends_come_to_the_same_keys() -> None:
    caller, callee = crypto("required", 1), crypto("preferred", 2)

    offered = stream(*(line.value for line in caller.offer()))
    theirs, lines = callee.answer(offered)
    ours = caller.accept(stream(*(line.value for line in lines)))

    assert ours.suite == theirs.suite == GCM
    assert (ours.tx, ours.rx) == (theirs.rx, theirs.tx)
    assert [line.suite for line in caller.offer()] == [GCM]


@pytest.mark.parametrize(
    ("policy", "answered"),
    [
        ("preferred", stream(f"1 {CM} inline:{KEY}")),
        ("required", stream(protocol="RTP/AVP")),
        ("required", stream()),
        ("required", stream(f"3 {CM} inline:{KEY}", f"1 {GCM} inline:{GCM_KEY}")),
        ("required", stream(f"9 {CM} inline:{KEY}")),
        ("required", stream(f"1 {CM} inline:{KEY}")),
        ("required", stream("nonsense")),
    ],
)
def test_an_answer_that_was_not_offered_is_refused(policy: SrtpPolicy, answered: Media) -> None:
    ours = crypto(policy)
    ours.offer()

    with pytest.raises(NegotiationError):
        ours.accept(answered)


def test_a_peer_that_returns_our_own_key_is_refused() -> None:
    ours = crypto("required")
    lines = ours.offer()

    with pytest.raises(NegotiationError, match="our own key"):
        ours.accept(stream(lines[0].value))


def test_a_clear_answer_to_a_clear_offer_has_no_keys() -> None:
    ours = crypto("preferred")
    ours.offer()

    assert ours.accept(stream(protocol="RTP/AVP")) is CLEAR


def test_keys_need_a_source() -> None:
    with pytest.raises(ValueError, match="random numbers"):
        MediaCrypto("preferred")

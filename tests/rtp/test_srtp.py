import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import LocalProtocolError
from bridge.rtp.srtp import CLEAR, SUITES, SrtpKeys, guess_index

SECRET = "0123456789abcdef" * 3 + "0123456789ab"


def keys(suite: str = "AES_CM_128_HMAC_SHA1_80") -> SrtpKeys:
    return SrtpKeys(suite, tx=SECRET, rx=SECRET[::-1])


def test_secrets_are_never_printed() -> None:
    printed = f"{keys()!r} {keys()}"

    assert "AES_CM_128_HMAC_SHA1_80" in printed
    assert SECRET[:8] not in printed
    assert SECRET[::-1][:8] not in printed


@pytest.mark.parametrize(
    ("suite", "tx", "rx"),
    [
        ("", SECRET, ""),
        ("", "", SECRET),
        ("AES_CM_256", SECRET, SECRET),
        ("AES_CM_128_HMAC_SHA1_80", SECRET[2:], SECRET),
        ("AES_CM_128_HMAC_SHA1_80", SECRET, SECRET + "00"),
        ("AES_CM_128_HMAC_SHA1_80", SECRET, "x" + SECRET[1:]),
        ("AEAD_AES_128_GCM", SECRET, SECRET),
    ],
)
def test_keys_that_do_not_fit_their_suite_are_refused_without_being_told(
    suite: str, tx: str, rx: str
) -> None:
    with pytest.raises(ValueError, match="SRTP") as refused:
        SrtpKeys(suite, tx=tx, rx=rx)

    assert SECRET[2:10] not in str(refused.value)


@pytest.mark.parametrize(
    "index", [{"tx_rollover": 1 << 32}, {"rx_end": 1 << 48}, {"rx_ssrc": -1}, {"rtcp_sent": 1 << 31}]
)
def test_indices_beyond_their_bits_are_refused(index: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="bits cannot be"):
        SrtpKeys("AES_CM_128_HMAC_SHA1_80", SECRET, SECRET, **index)


def test_without_a_suite_there_is_nothing_to_know() -> None:
    assert not CLEAR.suite
    assert [SUITES[name].secret_bytes for name in SUITES] == [28, 44, 30, 30]


@given(highest=st.integers(0, 1 << 47), step=st.integers(-32_767, 32_767))
def test_an_index_is_guessed_from_half_a_turn_either_way(highest: int, step: int) -> None:
    index = highest + step
    if index >= 0 and highest > 32_768:
        assert guess_index(highest, index & 0xFFFF) == index


@pytest.mark.parametrize(("highest", "index"), [(65_536, 65_535), (65_535, 65_536), (131_077, 131_000)])
def test_a_packet_on_the_other_side_of_a_turn_is_known(highest: int, index: int) -> None:
    assert guess_index(highest, index & 0xFFFF) == index


@pytest.mark.parametrize("highest", [-1, 0, 32_768])
def test_there_is_no_turn_before_the_first(highest: int) -> None:
    assert guess_index(highest, 65_535) == 65_535


def test_who_carries_a_leg_on_begins_after_everything_that_was_sent() -> None:
    resumed = keys().resumed(tx_end=65_530, sequence=3, rx_end=131_073, rx_ssrc=9, rtcp_sent=7)

    assert (resumed.tx_rollover, resumed.rx_end, resumed.rx_ssrc, resumed.rtcp_sent) == (1, 131_073, 9, 7)
    assert (resumed.suite, resumed.tx, resumed.rx) == (keys().suite, keys().tx, keys().rx)
    assert keys().resumed(tx_end=65_530, sequence=65_530, rx_end=0, rx_ssrc=0, rtcp_sent=0).tx_rollover == 0


def test_a_sequence_number_that_was_sent_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="sent already"):
        keys().resumed(tx_end=70_000, sequence=69_999 & 0xFFFF, rx_end=0, rx_ssrc=0, rtcp_sent=0)

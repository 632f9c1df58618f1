import pytest

from bridge.rtp.ice import IceLite, IceTerms
from bridge.rtp.stun import (
    BINDING_ERROR,
    BINDING_REQUEST,
    BINDING_SUCCESS,
    ERROR_CODE,
    ICE_CONTROLLED,
    ICE_CONTROLLING,
    PRIORITY,
    UNKNOWN_ATTRIBUTES,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    StunMessage,
    has_integrity,
    xor_address,
)

PASSWORD = "a-password-of-ours-1234"
TRANSACTION = bytes(range(12))
HERE, THERE = ("192.0.2.2", 4000), ("198.51.100.7", 5000)
CHECK = ((USERNAME, b"ours:theirs"), (PRIORITY, bytes(4)), (ICE_CONTROLLING, bytes(8)))
NOMINATION = (*CHECK, (USE_CANDIDATE, b""))


def agent() -> IceLite:
    return IceLite(IceTerms("ours", PASSWORD, "theirs"))


def check(
    attributes: tuple[tuple[int, bytes], ...], *, password: str = PASSWORD, kind: int = BINDING_REQUEST
) -> bytes:
    return StunMessage(kind, TRANSACTION, attributes).signed(password.encode())


def test_a_check_is_answered_with_the_address_that_it_came_from() -> None:
    ice = agent()

    data = ice.answer(check(CHECK), HERE)

    answer = StunMessage.parse(data)
    assert (answer.kind, answer.transaction) == (BINDING_SUCCESS, TRANSACTION)
    assert answer.attribute(XOR_MAPPED_ADDRESS) == xor_address(HERE, TRANSACTION)
    assert has_integrity(data, PASSWORD.encode())
    assert ice.knows(HERE)
    assert not ice.knows(THERE)
    assert ice.nominated is None


def test_the_peer_nominates_and_may_change_its_mind() -> None:
    ice = agent()

    ice.answer(check(NOMINATION), HERE)
    assert ice.nominated == HERE
    ice.answer(check(CHECK), THERE)
    assert ice.nominated == HERE
    ice.answer(check(NOMINATION), THERE)
    assert ice.nominated == THERE


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (bytes(StunMessage(BINDING_REQUEST, TRANSACTION, NOMINATION)), 400),
        (check(((USE_CANDIDATE, b""),)), 400),
        (check(NOMINATION, password="another"), 401),
        (check(((USERNAME, b"theirs:ours"), (USE_CANDIDATE, b""))), 401),
        (check((*NOMINATION, (0x0031, b"what"))), 420),
        (check((*NOMINATION, (ICE_CONTROLLED, bytes(8)))), 487),
    ],
)
def test_who_may_not_ask_moves_nothing(request_: bytes, code: int) -> None:
    ice = agent()

    data = ice.answer(request_, THERE)

    refusal = StunMessage.parse(data)
    told = refusal.attribute(ERROR_CODE) or b""
    assert refusal.kind == BINDING_ERROR
    assert told[2] * 100 + told[3] == code
    assert refusal.attribute(UNKNOWN_ATTRIBUTES) == (b"\x00\x31" if code == 420 else None)
    # Only who holds the password gets what is signed with it.
    assert has_integrity(data, PASSWORD.encode()) is (code in (420, 487))
    assert ice.nominated is None
    assert not ice.knows(THERE)
    assert ice.counters[f"refused with {code}"] == 1


def test_what_is_no_request_gets_no_answer() -> None:
    ice = agent()

    assert ice.answer(b"\x00\x01garbage", HERE) == b""
    assert ice.answer(check(NOMINATION, kind=BINDING_SUCCESS), HERE) == b""
    assert ice.nominated is None
    assert ice.counters == {"malformed": 1, "ignored": 1}


def test_a_peer_of_many_addresses_is_known_by_its_latest() -> None:
    ice = agent()

    for port in range(1000, 1040):
        ice.answer(check(CHECK), (HERE[0], port))
        ice.answer(check(CHECK), HERE)

    assert ice.knows(HERE)
    assert ice.knows((HERE[0], 1039))
    assert not ice.knows((HERE[0], 1000))


def test_no_secret_is_printed() -> None:
    assert PASSWORD not in repr(agent().terms)

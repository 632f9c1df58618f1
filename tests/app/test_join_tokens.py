"""Tokens that open one call."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.app.join_tokens import JoinRefused, JoinTokens
from tests.fakes import SeededIds

_S = 1_000_000_000


def tokens() -> JoinTokens:
    return JoinTokens(b"secret", ids=SeededIds())


def test_a_token_opens_its_number_once() -> None:
    desk = tokens()
    token = desk.issue("hello", lasts_s=60, now_ns=0)
    assert desk.redeem(token, now_ns=59 * _S) == "hello"
    with pytest.raises(JoinRefused, match="used already"):
        desk.redeem(token, now_ns=59 * _S)


def test_two_tokens_are_two() -> None:
    desk = tokens()
    first, second = (desk.issue("hello", lasts_s=60, now_ns=0) for _ in range(2))
    assert first != second
    assert [desk.redeem(token, now_ns=1) for token in (first, second)] == ["hello", "hello"]


def test_an_old_token_opens_nothing() -> None:
    desk = tokens()
    token = desk.issue("hello", lasts_s=60, now_ns=0)
    with pytest.raises(JoinRefused, match="too old"):
        desk.redeem(token, now_ns=60 * _S)


def test_a_token_of_another_bridge_opens_nothing() -> None:
    token = JoinTokens(b"other", ids=SeededIds()).issue("hello", lasts_s=60, now_ns=0)
    with pytest.raises(JoinRefused, match="no join token"):
        tokens().redeem(token, now_ns=0)


@given(st.text(max_size=2000))
def test_anything_else_opens_nothing(text: str) -> None:
    with pytest.raises(JoinRefused):
        tokens().redeem(text, now_ns=0)


@given(st.data())
def test_no_changed_character_passes(data: st.DataObject) -> None:
    desk = tokens()
    token = desk.issue("hello", lasts_s=60, now_ns=0)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda char: char != token[at]))
    with pytest.raises(JoinRefused):
        desk.redeem(token[:at] + other + token[at + 1 :], now_ns=0)


def test_used_tokens_are_forgotten_when_they_are_too_old_anyway() -> None:
    desk = tokens()
    for second in range(5):
        desk.redeem(desk.issue("hello", lasts_s=1, now_ns=second * _S), now_ns=second * _S)
    assert len(desk._used) == 1

"""Answers before the answer: what is heard binds nobody but the media row (RFC 3261 §13.1, RFC 3960 §3.2)."""

import pytest

from bridge.errors import NegotiationError
from bridge.sip.offer import Negotiator, is_alike
from tests.sip.messages import OFFER

G722 = OFFER.replace(b"RTP/AVP 8 0 101", b"RTP/AVP 9 101")


def caller() -> Negotiator:
    made = Negotiator(ip="192.0.2.9", port=40_000, session_id=7)
    made.offer()
    return made


def test_whoever_answers_chooses_again_from_all_that_was_offered() -> None:
    ours = caller()
    assert ours.preview(OFFER).codec == 1
    assert ours.accept(G722).codec == 2
    with pytest.raises(NegotiationError):
        ours.accept(OFFER)  # a call that stands keeps its codec


def test_what_was_heard_is_taken_where_the_answer_leaves_it_open() -> None:
    ours = caller()
    ours.preview(OFFER)
    assert ours.accept(G722.replace(b"AVP 9", b"AVP 9 8")).codec == 1


def test_an_answer_that_cannot_be_carried_is_met_by_an_offer_of_what_can() -> None:
    ours = caller()
    heard = ours.preview(OFFER)
    ours.accept(G722)
    ours.insist(heard)
    assert b"m=audio 40000 RTP/AVP 8 0 101\r\n" in ours.offer()
    assert ours.accept(OFFER).codec == heard.codec


def test_a_row_carries_its_codec_and_both_of_g711() -> None:
    assert [is_alike(*pair) for pair in ((0, 1), (1, 0), (2, 2), (0, 2), (2, 1))] == [
        True,
        True,
        True,
        False,
        False,
    ]

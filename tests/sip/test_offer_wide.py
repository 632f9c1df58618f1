import pytest

from bridge.errors import NegotiationError
from bridge.sip.codecs import CODECS
from bridge.sip.offer import LocalMedia, Negotiated, Negotiator, accept, answer, make_offer
from bridge.sip.sdp import SessionDescription
from tests.sip.test_offer import US, offered

BROWSER = (
    "m=audio 4000 RTP/AVP 111 9 0 110 126",
    "a=rtpmap:111 opus/48000/2",
    "a=fmtp:111 minptime=10;useinbandfec=1;maxplaybackrate=16000;maxaveragebitrate=20000",
    "a=rtpmap:110 telephone-event/48000",
    "a=fmtp:110 0-11",
    "a=rtpmap:126 telephone-event/8000",
)


def negotiator(*codecs: str) -> Negotiator:
    return Negotiator(
        ip="192.0.2.9", port=16384, session_id=5, codecs=codecs or ("opus", "G722", "PCMU", "PCMA")
    )


def lines_of(sdp: bytes) -> list[str]:
    return sdp.decode().split("\r\n")


def test_opus_is_answered_with_our_own_wishes_and_events_of_its_clock() -> None:
    sdp, agreed = answer(offered(*BROWSER), US)

    assert agreed == Negotiated(
        CODECS["opus"].number,
        111,
        110,
        ("192.0.2.2", 4000),
        True,
        True,
        held=False,
        rtcp=("192.0.2.2", 4001),
        dtmf_events=0x0FFF,
        rate_hz=16000,
        opus_bitrate=20000,
        opus_fec=True,
        opus_max_rate_hz=16000,
        opus_loss_percent=10,
    )
    assert lines_of(sdp)[5:] == [
        "m=audio 16384 RTP/AVP 111 110",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 maxplaybackrate=16000;sprop-maxcapturerate=16000;useinbandfec=1",
        "a=rtpmap:110 telephone-event/48000",
        "a=fmtp:110 0-15",
        "a=ptime:20",
        "a=sendrecv",
        "",
    ]


def test_opus_without_a_word_is_24_khz_without_fec() -> None:
    agreed = answer(offered("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2"), US)[1]

    assert (agreed.rate_hz, agreed.opus_fec, agreed.opus_loss_percent) == (24000, False, 0)
    assert (agreed.opus_bitrate, agreed.opus_dtx, agreed.opus_max_rate_hz) == (0, False, 48000)


@pytest.mark.parametrize(
    ("codecs", "name", "number"),
    [
        (("PCMA", "PCMU", "G722", "opus"), "opus", 111),
        (("PCMU", "G722"), "G722", 9),
        (("PCMU",), "PCMU", 0),
    ],
)
def test_the_peer_s_order_rules_among_what_we_speak(codecs: tuple[str, ...], name: str, number: int) -> None:
    agreed = answer(offered(*BROWSER), US, codecs=codecs)[1]

    assert (agreed.codec, agreed.payload_type, agreed.rate_hz % 8000) == (CODECS[name].number, number, 0)
    assert agreed.dtmf_payload_type == (110 if name == "opus" else 126)


def test_what_we_do_not_speak_is_named_when_an_offer_is_declined() -> None:
    with pytest.raises(NegotiationError, match="no audio with PCMU or L16/16000 and our security to"):
        answer(offered("m=audio 4000 RTP/AVP 9 10 11"), US, codecs=("PCMU", "L16/16000"))


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_l16_keeps_its_rate(rate_hz: int) -> None:
    lines = "m=audio 4000 RTP/AVP 98", f"a=rtpmap:98 L16/{rate_hz}/1"

    sdp, agreed = answer(offered(*lines), US, codecs=CODECS)

    assert (agreed.codec, agreed.rate_hz) == (CODECS[f"L16/{rate_hz}"].number, rate_hz)
    assert f"a=rtpmap:98 L16/{rate_hz}" in lines_of(sdp)
    assert f"a=ptime:{10 if rate_hz == 48000 else 20}" in lines_of(sdp)


def test_packets_have_the_length_that_the_peer_prefers() -> None:
    sdp, agreed = answer(offered("m=audio 4000 RTP/AVP 9", "a=ptime:40", "a=maxptime:30"), US)

    assert agreed.ptime_ms == 30
    assert "a=ptime:30" in lines_of(sdp)


@pytest.mark.parametrize("name", list(CODECS))
def test_our_offer_of_any_codec_is_understood_by_ourselves(name: str) -> None:
    theirs = LocalMedia("192.0.2.2", 4000, session_id=1)

    sdp, at_their_side = answer(make_offer(US, codecs=(name,)), theirs, codecs=(name,))
    at_our_side = accept(sdp, codecs=(name,))

    assert at_our_side.codec == at_their_side.codec == CODECS[name].number
    assert at_our_side.rate_hz == at_their_side.rate_hz == CODECS[name].rate_hz
    assert at_our_side.dtmf_payload_type == at_their_side.dtmf_payload_type > 0
    assert at_our_side.ptime_ms == at_their_side.ptime_ms
    assert at_our_side.opus_fec is (name == "opus")


def test_the_first_offer_has_all_that_we_speak_best_first() -> None:
    assert SessionDescription.parse(negotiator().offer()).media[0].formats == (
        "111",
        "9",
        "0",
        "8",
        "110",
        "101",
    )


def test_an_answer_with_what_was_not_offered_is_refused() -> None:
    ours = negotiator("PCMU")
    ours.offer()

    with pytest.raises(NegotiationError, match="refuses"):
        ours.accept(offered("m=audio 4000 RTP/AVP 9"))


def test_events_of_the_answered_clock_come_under_both_numbers() -> None:
    ours = negotiator()
    ours.offer()

    agreed = ours.accept(
        offered(
            "m=audio 4000 RTP/AVP 111 97", "a=rtpmap:111 opus/48000/2", "a=rtpmap:97 telephone-event/48000"
        )
    )

    assert (agreed.dtmf_payload_type, agreed.dtmf_offered) == (97, 110)


def test_a_call_keeps_its_codec_where_a_later_offer_has_it() -> None:
    ours = negotiator()
    ours.answer(offered(*BROWSER))
    later = (
        "m=audio 4000 RTP/AVP 9 0 111",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 maxplaybackrate=8000;usedtx=1",
    )

    ours.answer(offered(*later))

    now = ours.negotiated
    assert now is not None
    # The row stays as wide as it is; the coder sends no more than the peer plays.
    assert (now.payload_type, now.rate_hz, now.opus_max_rate_hz, now.opus_dtx) == (111, 16000, 8000, True)


def test_a_call_does_not_change_to_a_codec_of_another_row() -> None:
    ours = negotiator()
    ours.answer(offered("m=audio 4000 RTP/AVP 9 0"))
    before = ours.negotiated

    with pytest.raises(NegotiationError, match="no audio with G722 and our security to"):
        ours.answer(offered("m=audio 4000 RTP/AVP 0"))

    assert ours.negotiated is before
    assert SessionDescription.parse(ours.offer()).media[0].formats == ("9", "101")


def test_pcmu_and_pcma_take_turns_within_a_call() -> None:
    ours = negotiator()
    ours.answer(offered("m=audio 4000 RTP/AVP 0"))

    ours.answer(offered("m=audio 4000 RTP/AVP 9 8"))

    assert ours.negotiated is not None
    assert ours.negotiated.payload_type == 8
    assert SessionDescription.parse(ours.offer()).media[0].formats == ("8", "0", "101")


def test_a_later_offer_keeps_the_numbers_of_opus_and_its_events() -> None:
    ours = negotiator()
    ours.answer(
        offered("m=audio 4000 RTP/AVP 96 97", "a=rtpmap:96 opus/48000/2", "a=rtpmap:97 telephone-event/48000")
    )

    assert lines_of(ours.offer())[5:9] == [
        "m=audio 16384 RTP/AVP 96 97",
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 maxplaybackrate=24000;sprop-maxcapturerate=24000;useinbandfec=1",
        "a=rtpmap:97 telephone-event/48000",
    ]

"""Corners of offer and answer that the world's phones do turn (RFC 3264, 3605, 5888, 8866)."""

from pathlib import Path

import pytest

from bridge.errors import NegotiationError
from bridge.sip.offer import LocalMedia, Negotiator, answer
from bridge.sip.sdp import SessionDescription
from tests.sip.test_offer import offered

VECTORS = Path(__file__).parents[1] / "vectors"
US = LocalMedia("192.0.2.9", 16384, session_id=77)
AUDIO = "m=audio 4000 RTP/AVP 0"
FAX = ("m=image 4002 udptl t38", "a=T38FaxVersion:0", "a=T38FaxRateManagement:transferredTCF")


def lines_of(sdp: bytes) -> list[str]:
    return [line for line in sdp.decode().split("\r\n") if line.startswith("m=")]


def negotiator() -> Negotiator:
    return Negotiator(ip="192.0.2.9", port=16384, session_id=7, codecs=("PCMU", "PCMA"))


def test_of_several_streams_of_sound_the_first_is_taken() -> None:
    sdp, agreed = answer(offered("m=audio 0 RTP/AVP 8", AUDIO, "m=audio 4002 RTP/AVP 8"), US)

    assert agreed.remote == ("192.0.2.2", 4000)
    assert lines_of(sdp) == ["m=audio 0 RTP/AVP 8", "m=audio 16384 RTP/AVP 0", "m=audio 0 RTP/AVP 8"]


def test_a_fax_beside_the_sound_is_refused_and_the_sound_is_not() -> None:
    sdp, agreed = answer(offered(*FAX, AUDIO), US)

    assert agreed.codec == 0
    assert lines_of(sdp) == ["m=image 0 udptl t38", "m=audio 16384 RTP/AVP 0"]


def test_a_call_that_is_to_become_a_fax_stays_as_it_was() -> None:
    ours = negotiator()
    ours.answer(offered(AUDIO))
    before = ours.negotiated

    with pytest.raises(NegotiationError):
        ours.answer(offered(*FAX))

    assert ours.negotiated == before
    # A peer that gives up on its fax offers the sound again, and forgets the stream in between.
    ours.answer(offered(AUDIO, *FAX))
    assert lines_of(ours.answer(offered(AUDIO))) == ["m=audio 16384 RTP/AVP 0"]


@pytest.mark.parametrize(
    "address", ["IN IP4 224.2.1.1/127", "IN IP4 239.0.0.1", "IN IP6 2001:db8::1", "IN IP4 host"]
)
def test_sound_that_goes_to_many_or_that_we_cannot_reach_is_refused(address: str) -> None:
    with pytest.raises(NegotiationError):
        answer(offered(AUDIO, session=f"c={address}"), US)
    # … where the stream does not know better.
    agreed = answer(offered(AUDIO, "c=IN IP4 192.0.2.7", session=f"c={address}"), US)[1]
    assert agreed.remote == ("192.0.2.7", 4000)


@pytest.mark.parametrize("session", ["c=IN IP4 192.0.2.2\na=sendonly", "c=IN IP4 192.0.2.2"])
def test_a_direction_holds_for_the_session_where_the_stream_says_none(session: str) -> None:
    by_stream = answer(offered(AUDIO, "a=recvonly", session=session), US)[1]
    by_session = answer(offered(AUDIO, "a=sideways", session=session), US)[1]

    assert (by_stream.sending, by_stream.receiving) == (True, False)
    assert by_session.receiving
    assert by_session.sending is ("sendonly" not in session)


def test_an_offer_without_streams_has_nothing_for_us() -> None:
    with pytest.raises(NegotiationError):
        answer(offered(), US)


def test_attributes_that_we_do_not_know_change_nothing() -> None:
    plain, agreed = answer(offered(AUDIO), US)

    more = answer(
        offered(
            AUDIO,
            "a=label:1",
            "a=rtcp-fb:* nack",
            "a=rtcp-xr:voip-metrics",
            "a=ssrc:5 cname:x",
            "a=silenceSupp:off",
        ),
        US,
    )

    assert more == (plain, agreed)


def test_a_stream_is_called_what_the_offerer_calls_it() -> None:
    sdp, _ = answer(offered(AUDIO, "a=mid:sound", "m=video 4002 RTP/AVP 96", "a=mid:sight"), US)

    theirs = SessionDescription.parse(sdp)
    assert [media.attribute("mid") for media in theirs.media] == ["sound", "sight"]
    # Nobody asked for a bundle.
    assert theirs.attributes == ()


def test_a_bundle_without_our_stream_is_none_of_ours() -> None:
    sdp, _ = answer(offered(AUDIO, "a=mid:a", session="c=IN IP4 192.0.2.2\na=group:BUNDLE b c\na=group"), US)

    assert b"a=group" not in sdp


def test_a_codec_that_changes_within_the_call_changes_the_version_and_nothing_else_does() -> None:
    ours = negotiator()
    first = ours.answer(offered("m=audio 4000 RTP/AVP 0 8"))
    moved = ours.answer(offered("m=audio 5000 RTP/AVP 0 8"))
    changed = ours.answer(offered("m=audio 5000 RTP/AVP 8"))

    # Where the peer is, is no part of what we say.
    assert moved == first
    assert ours.negotiated is not None
    assert ours.negotiated.codec == 1
    versions = [SessionDescription.parse(sdp).origin.version for sdp in (first, changed)]
    assert versions == [1, 2]
    assert {SessionDescription.parse(sdp).origin.session_id for sdp in (first, changed)} == {7}


def test_feedback_may_be_early_where_the_offer_says_so() -> None:
    sdp, _ = answer(offered("m=audio 4000 RTP/AVPF 0", "a=rtcp-fb:0 ccm tmmbr"), US)

    assert lines_of(sdp) == ["m=audio 16384 RTP/AVPF 0"]


def test_a_payload_type_of_five_thousand_digits_is_none() -> None:
    offer = (VECTORS / "long_payload_type.sdp").read_bytes()

    answered, agreed = answer(offer, US)

    assert agreed.codec == 1
    assert lines_of(answered) == ["m=audio 16384 RTP/AVP 8"]

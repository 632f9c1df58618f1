import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.plane import codec as rows
from bridge.sip.codecs import (
    ALL_KEYS,
    CODECS,
    DEFAULT_CODECS,
    NAMES,
    OpusWishes,
    attributes_of,
    codec_of,
    explained,
    keys_of,
    numbering,
    opus_rate_hz,
    opus_wishes,
    packet_ms,
    usual_ms,
    wanted,
)
from bridge.sip.sdp import Media, RtpMap


def stream(formats: str = "96", *attributes: str) -> Media:
    pairs = [(name, value) for name, _, value in (text.partition(":") for text in attributes)]
    return Media("audio", 4000, "RTP/AVP", tuple(formats.split()), None, tuple(pairs))


def test_the_media_row_means_the_same_by_its_numbers() -> None:
    assert len(CODECS) == len(rows.CODECS)
    for codec in CODECS.values():
        row = rows.CODECS[codec.number]
        assert (codec.rtp.encoding, codec.rtp.clock_rate) == (row.encoding, row.clock_hz)
        assert codec.rate_hz == (row.rate_hz or 24000)
        assert codec.rate_hz in rows.ROW_RATES_HZ
        assert NAMES[codec.number] == codec.name


def test_every_default_is_one_that_we_have() -> None:
    assert [codec.name for codec in wanted(DEFAULT_CODECS)] == ["opus", "G722", "PCMU", "PCMA"]
    with pytest.raises(KeyError):
        wanted(["G729"])


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (RtpMap("pcmu", 8000), "PCMU"),
        (RtpMap("g722", 8000), "G722"),
        (RtpMap("G722", 16000), None),
        (RtpMap("L16", 16000), "L16/16000"),
        (RtpMap("L16", 44100), None),
        (RtpMap("L16", 16000, 2), None),
        (RtpMap("OPUS", 48000, 2), "opus"),
        (RtpMap("opus", 48000), None),
        (RtpMap("opus", 16000, 2), None),
    ],
)
def test_an_encoding_is_known_by_name_clock_and_channels(found: RtpMap, name: str | None) -> None:
    codec = codec_of(found, CODECS.values())

    assert (codec.name if codec else None) == name


def test_static_numbers_explain_themselves_but_not_those_of_44_khz() -> None:
    assert explained(stream("9 10 11 8 0 x 300 96")) == [
        (9, RtpMap("G722", 8000)),
        (8, RtpMap("PCMA", 8000)),
        (0, RtpMap("PCMU", 8000)),
    ]


@pytest.mark.parametrize(
    ("attributes", "name", "ms"),
    [
        ((), "PCMU", 20),
        (("ptime:30",), "PCMU", 30),
        (("ptime:50",), "PCMU", 40),
        (("ptime:200",), "PCMU", 60),
        (("ptime:5",), "PCMU", 10),
        (("ptime:0",), "PCMU", 20),
        (("ptime:20.5",), "PCMU", 20),
        (("ptime:30", "maxptime:20"), "G722", 20),
        (("maxptime:10",), "G722", 10),
        (("maxptime:150",), "G722", 20),
        (("ptime:60",), "L16/16000", 40),
        ((), "L16/48000", 10),
        (("ptime:60",), "opus", 20),
        (("maxptime:10",), "opus", 20),
    ],
)
def test_packets_are_as_long_as_the_peer_prefers_and_we_can(
    attributes: tuple[str, ...], name: str, ms: int
) -> None:
    assert packet_ms(stream("96", *attributes), CODECS[name]) == ms


@pytest.mark.parametrize(
    ("fmtp", "wishes"),
    [
        ("", OpusWishes()),
        ("fmtp:96 useinbandfec=1; usedtx=1", OpusWishes(is_fec=True, is_dtx=True)),
        ("fmtp:96 maxplaybackrate=16000;maxaveragebitrate=20000", OpusWishes(16000, 20000)),
        ("fmtp:96 MaxPlaybackRate = 12000 ;stereo=1;sprop-stereo=1;cbr=1", OpusWishes(12000)),
        ("fmtp:96 maxplaybackrate=1;maxaveragebitrate=1", OpusWishes(8000, 6000)),
        ("fmtp:96 maxplaybackrate=96000;maxaveragebitrate=9999999", OpusWishes(48000, 510000)),
        ("fmtp:96 useinbandfec=yes;maxaveragebitrate;;=", OpusWishes()),
        ("fmtp:97 useinbandfec=1", OpusWishes()),
    ],
)
def test_the_peer_says_what_opus_it_wants(fmtp: str, wishes: OpusWishes) -> None:
    assert opus_wishes(stream("96", fmtp), 96) == wishes


@given(st.text(max_size=80))
def test_whatever_it_says_is_a_wish_that_can_be_met(text: str) -> None:
    wishes = opus_wishes(stream("96", f"fmtp:96 {text}"), 96)

    assert 8000 <= wishes.max_rate_hz <= 48000
    assert wishes.bit_rate == 0 or 6000 <= wishes.bit_rate <= 510_000


def test_a_row_plays_no_more_than_the_peer_does() -> None:
    rates = {8000: 8000, 12000: 16000, 16000: 16000, 24000: 24000, 48000: 24000}

    assert {most: opus_rate_hz(most) for most in rates} == rates


def test_each_clock_of_an_offer_has_its_events() -> None:
    numbers = numbering(wanted(("opus", "L16/16000", "G722", "PCMU")), {}, {})

    assert attributes_of(numbers, opus_hz=24000) == (
        ("rtpmap", "111 opus/48000/2"),
        ("fmtp", "111 maxplaybackrate=24000;sprop-maxcapturerate=24000;useinbandfec=1"),
        ("rtpmap", "117 L16/16000"),
        ("rtpmap", "9 G722/8000"),
        ("rtpmap", "0 PCMU/8000"),
        ("rtpmap", "110 telephone-event/48000"),
        ("fmtp", "110 0-15"),
        ("rtpmap", "102 telephone-event/16000"),
        ("fmtp", "102 0-15"),
        ("rtpmap", "101 telephone-event/8000"),
        ("fmtp", "101 0-15"),
    )


def test_a_dynamic_number_that_is_taken_gives_way_and_a_static_one_is_left_out() -> None:
    taken = {111: RtpMap("telephone-event", 48000), 9: RtpMap("speex", 8000)}

    numbers = numbering(wanted(("opus", "G722")), taken, {})

    assert numbers == {127: RtpMap("opus", 48000, 2), 110: RtpMap("telephone-event", 48000)}


@pytest.mark.parametrize(("names", "ms"), [(("L16/48000",), 10), (("opus", "PCMU"), 20)])
def test_an_offer_names_a_length_that_its_codecs_have(names: tuple[str, ...], ms: int) -> None:
    assert usual_ms(numbering(wanted(names), {}, {})) == ms


def test_a_payload_type_counts_once_however_often_it_is_listed() -> None:
    stream = Media("audio", 4000, "RTP/AVP", ("13",) * 1000 + ("8", "0013", "x", "300"))

    assert [number for number, _ in explained(stream)] == [13, 8]


def test_a_list_of_more_events_than_there_are_counts_as_not_said() -> None:
    told = ",".join(["99"] * 257)
    stream = Media("audio", 4000, "RTP/AVP", ("101",), attributes=(("fmtp", f"101 {told}"),))

    assert keys_of(stream, 101) == ALL_KEYS

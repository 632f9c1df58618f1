import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.engine.commands import (
    MAX_FRAME_BYTES,
    CloseRow,
    Datagram,
    FrameReader,
    GiveVerdict,
    HandKey,
    Message,
    OpenRow,
    PressKeys,
    Ready,
    SetBed,
    Stop,
    UpdateRow,
    encode,
)
from bridge.errors import RemoteProtocolError
from bridge.plane.events import Digit, Flushed, KeysSent, RowFailed
from bridge.rtp.srtp import SrtpKeys
from tests.engine.fake_plane import spec

I64 = st.integers(-(2**63), 2**63 - 1)
KEYS = st.builds(
    SrtpKeys,
    suite=st.just("AEAD_AES_128_GCM"),
    tx=st.binary(min_size=28, max_size=28).map(bytes.hex),
    rx=st.binary(min_size=28, max_size=28).map(bytes.hex),
    tx_rollover=st.integers(0, 2**32 - 1),
    rx_end=st.integers(0, 2**48 - 1),
    rx_ssrc=st.integers(0, 2**32 - 1),
    rtcp_sent=st.integers(0, 2**31 - 1),
)
MESSAGES = st.one_of(
    st.builds(OpenRow, row=I64, fds=st.integers(0, 2), spec=st.builds(spec, st.integers(1, 2**32 - 1))),
    st.builds(OpenRow, row=I64, fds=st.just(2), spec=st.just(spec()), srtp=KEYS),
    st.builds(UpdateRow, row=I64, spec=st.just(spec()), srtp=KEYS),
    st.builds(CloseRow, row=I64, generation=I64),
    st.builds(GiveVerdict, row=I64, generation=I64, epoch=I64, is_speech=st.booleans()),
    st.builds(RowFailed, row=I64, generation=I64, at_ns=I64, message=st.text(max_size=200)),
    st.builds(
        Flushed,
        row=I64,
        generation=I64,
        at_ns=I64,
        position=I64,
        epoch=I64,
        verdict_ns=I64,
        cause=st.sampled_from(["speech", "dtmf", "command"]),
    ),
    st.builds(
        PressKeys,
        row=I64,
        generation=I64,
        ticket=I64,
        duration_ms=I64,
        pause_ms=I64,
        digits=st.text("0123456789*#ABCD", max_size=64),
    ),
    st.builds(HandKey, row=I64, generation=I64, duration_ms=I64, digit=st.sampled_from("0123456789*#ABCD")),
    st.builds(
        SetBed,
        row=I64,
        generation=I64,
        bed=I64,
        samples=I64,
        gain_db=I64,
        under_speech_db=I64,
        yields=st.booleans(),
    ),
    st.builds(KeysSent, row=I64, generation=I64, at_ns=I64, ticket=I64, count=I64),
    st.builds(Datagram, row=I64, generation=I64, at_ns=I64, source_key=I64, data=st.binary(max_size=2048)),
    st.just(Stop()),
)


def read(data: bytes) -> list[Message]:
    return list(FrameReader().feed(data))


@given(st.lists(MESSAGES, max_size=5), st.integers(1, 50))
def test_messages_survive_any_cut_of_the_stream(messages: list[Message], step: int) -> None:
    stream = b"".join(encode(message) for message in messages)
    reader = FrameReader()

    received = [
        message for at in range(0, len(stream), step) for message in reader.feed(stream[at : at + step])
    ]

    assert received == messages


@given(st.binary(max_size=300))
def test_garbage_raises_nothing_but_the_remote_fault(data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        read(data)


def test_a_text_too_long_for_a_frame_is_cut() -> None:
    (message,) = read(encode(RowFailed(1, 2, 3, "x" * 100_000)))

    assert isinstance(message, RowFailed)
    assert message.message == "x" * 1024


def test_an_absurd_length_is_refused_before_it_is_waited_for() -> None:
    with pytest.raises(RemoteProtocolError, match="at most"):
        read(struct.pack("<IB", MAX_FRAME_BYTES + 1, 1))


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(RemoteProtocolError, match="unknown kind 200"):
        read(struct.pack("<IB", 0, 200))


def test_a_frame_longer_than_its_message_is_refused() -> None:
    frame = bytearray(encode(Stop()))
    frame[0] = 1

    with pytest.raises(RemoteProtocolError, match="1 bytes too many in Stop"):
        read(bytes(frame) + b"x")


def test_a_text_that_lies_about_its_length_is_refused() -> None:
    frame = bytearray(encode(Digit(1, 2, 3, "5", 80)))
    frame[-3] = 9

    with pytest.raises(RemoteProtocolError, match="a broken Digit on the media pipe: text runs over the end"):
        read(bytes(frame))


def test_a_value_that_no_leg_can_have_is_refused() -> None:
    frame = encode(UpdateRow(1, spec(5))).replace(struct.pack("<q", 5), struct.pack("<q", 0), 1)

    with pytest.raises(RemoteProtocolError, match="broken UpdateRow"):
        read(frame)


def test_truths_stay_truths() -> None:
    (message,) = read(encode(Ready(pid=1, is_realtime=True, is_batched=False)))

    assert message == Ready(pid=1, is_realtime=True, is_batched=False)
    assert isinstance(message, Ready)
    assert message.is_realtime is True


def test_a_broken_key_is_refused_and_not_told() -> None:
    keys = SrtpKeys("AES_CM_128_HMAC_SHA1_80", tx="5e" * 30, rx="c4" * 30)
    frame = encode(OpenRow(1, 2, spec(5), srtp=keys)).replace(b"5e5e", b"5eXe", 1)

    with pytest.raises(RemoteProtocolError, match="broken OpenRow") as refused:
        read(frame)

    assert "5e" not in str(refused.value)

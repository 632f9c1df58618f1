import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.media.container import packer
from bridge.media.tags import aigc_tags, read_tags
from tests.media.listening import voice


def test_the_identifier_has_the_fields_of_the_standard_in_order() -> None:
    tags = aigc_tags("user-1", "request-2", "task-3")

    assert list(tags) == ["AIGC"]
    assert list(json.loads(tags["AIGC"]).items()) == [
        ("Label", "1"),
        ("ContentProducer", "cosybridge"),
        ("ProduceID", "task-3"),
        ("ReservedCode1", ""),
        ("ContentPropagator", "user-1"),
        ("PropagateID", "request-2"),
        ("ReservedCode2", ""),
    ]


@pytest.mark.parametrize("format", ["wav", "mp3", "opus"])
@pytest.mark.parametrize("propagator", ["me", "网站", '"\\\0=', "\ud800", "x" * 4000])
def test_the_identifier_is_found_again(format: str, propagator: str) -> None:
    tags = aigc_tags(propagator, "2", "3")
    stream = packer(format, 16000, bit_rate=None, tags=tags)

    data = stream.push(voice(16000, 0.1).tobytes()) + stream.finish()

    assert read_tags(data, format) == tags
    assert json.loads(read_tags(data, format)["AIGC"])["ContentPropagator"] == propagator


def test_the_beginning_of_a_file_is_enough() -> None:
    stream = packer("opus", 8000, bit_rate=None, tags={"AIGC": "{}"})

    assert read_tags(stream.push(bytes(2)), "opus") == {"AIGC": "{}"}


def test_pcm_has_no_place_for_tags() -> None:
    assert read_tags(b"AIGC", "pcm") == {}


def test_a_stream_without_its_second_header_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="OpusTags"):
        read_tags(b"", "opus")


@given(st.binary(max_size=100), st.sampled_from(["wav", "mp3", "opus"]))
def test_any_bytes_are_read_or_refused(data: bytes, format: str) -> None:
    begin = {"wav": b"RIFF\0\0\0\0WAVE", "mp3": b"ID3\x04", "opus": b"OggS"}[format]

    try:
        tags = read_tags(begin + data, format)
    except RemoteProtocolError:
        tags = {}

    assert all(isinstance(text, str) for text in tags.values())

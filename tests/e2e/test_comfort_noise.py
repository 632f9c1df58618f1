"""Comfort noise through a whole bridge: what is not sent is silence, and nothing else."""

import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.plane.g711 import decode_ulaw, encode_ulaw
from bridge.rtp.header import RtpPacket
from tests.e2e import agents
from tests.e2e.key_phone import KeyPhone
from tests.e2e.running import RunningBridge

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


@pytest.fixture(scope="module")
def bridge(folder: Path) -> Iterator[RunningBridge]:
    settings = {
        "media.comfort_noise": "true",
        "recording.enabled": "true",
        "recording.folder": str(folder),
    }
    with RunningBridge(agents.routes(musing="tone") | settings) as running:
        yield running


def line_of(packets: list[RtpPacket]) -> NDArray[np.int16]:
    """What a phone plays that is silent where it is told that we are: each sound at its own time."""
    sounds = [packet for packet in packets if packet.payload_type == 0]
    begin = sounds[0].timestamp
    places = [(packet.timestamp - begin) % 2**32 for packet in sounds]
    line = np.zeros(places[-1] + 160, np.int16)
    for at, packet in zip(places, sounds, strict=True):
        line[at : at + 160] = decode_ulaw(np.frombuffer(packet.payload, np.uint8))
    return line


def recorded(folder: Path, samples: int) -> NDArray[np.int16]:
    """The words that the bridge says it said, as G.711 has them; waits until there are so many samples."""
    deadline = time.monotonic() + 10
    words = np.zeros(0, np.int16)
    while len(words) < samples and time.monotonic() < deadline:
        time.sleep(0.2)
        for path in folder.rglob("*.wav"):
            with wave.open(str(path)) as file:
                both = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, 2)
            said = np.trim_zeros(decode_ulaw(encode_ulaw(np.ascontiguousarray(both[:, 1]))))
            words = max(words, said, key=len)
    return words


def test_silence_is_told_once_a_second_and_every_word_arrives(bridge: RunningBridge, folder: Path) -> None:
    with KeyPhone(("127.0.0.1", bridge.sip_port)) as phone:
        phone.dial("musing", events=True, comfort=True)
        phone.rest(600)
        told = bridge.get(f"/api/calls/{phone.call_id}")["media"]
        phone.bye()
        phone.until("SIP/2.0 200")
        packets = phone.received

    assert "a=rtpmap:13 CN/8000" in phone.answer
    sids = [at for at, packet in enumerate(packets) if packet.payload_type == 13]
    assert {packet.payload for packet in packets if packet.payload_type == 13} == {b"\x7f"}
    assert len(sids) >= 5
    assert abs(told["tx_comfort"] - len(sids)) <= 1
    assert len(packets) <= told["tx_packets"] + 2
    assert told["silence_idle"] > 150
    numbers = np.array([packet.sequence for packet in packets])
    assert (np.diff(numbers) % 2**16 == 1).all()
    after = [at + 1 for at in sids if at + 1 < len(packets) and packets[at + 1].payload_type == 0]
    marked = [at for at, packet in enumerate(packets) if packet.marker]
    assert len(after) == 2
    # A machine that gave us no time for some slots marks what follows them, too.
    assert marked == [0, *after] or (told["silence_bridge_late"] and {0, *after} < set(marked))
    assert packets[-1].payload_type == 13
    words = np.trim_zeros(line_of(packets))
    assert len(words) > 8000
    assert recorded(folder, len(words)).tolist() == words.tolist()


def test_a_phone_that_offers_none_hears_every_silent_packet(bridge: RunningBridge) -> None:
    with KeyPhone(("127.0.0.1", bridge.sip_port)) as phone:
        phone.dial("musing", events=True)
        phone.rest(60)
        told = bridge.get(f"/api/calls/{phone.call_id}")["media"]
        packets = phone.received

    assert "CN/8000" not in phone.answer
    assert {packet.payload_type for packet in packets} == {0}
    assert len(packets) > 50
    assert told["tx_comfort"] == 0

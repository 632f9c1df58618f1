"""baresip calls the bridge through a network of its own and records the sentence that was asked for."""

import re
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.e2e import agents
from tests.e2e.running import RunningBridge
from tests.hearing import transcribe, word_errors
from tests.interop.foreign import EXAMPLES, adapt
from tests.interop.network import OURS, THEIRS

pytestmark = [pytest.mark.interop("baresip"), pytest.mark.timeout(120)]

SENTENCE = "Thank you for calling. Your appointment is confirmed for Tuesday morning."
EXAMPLE = Path(__file__).parents[2] / "sip_examples" / "01_answer_and_speak.py"


def modules() -> str:
    found = subprocess.run(["dpkg", "-L", "baresip-core"], check=True, capture_output=True, text=True).stdout
    return str(Path(next(line for line in found.splitlines() if line.endswith("/g711.so"))).parent)


def configure(folder: Path) -> None:
    """Write the example's configuration, for this network."""
    changes = {
        "0.0.0.0:5070": f"{THEIRS}:5060",
        "/tmp/room.wav": f"{folder}/room.wav",  # noqa: S108  it is replaced
        "snd_path /tmp": f"snd_path {folder}",
        "/usr/lib/baresip/modules": modules(),
    }
    adapt(EXAMPLES / "baresip" / "config", folder, changes)


def write_room(path: Path, rate_hz: int, channels: int, tones_hz: tuple[int, ...]) -> None:
    """Forty seconds of a quiet room with tones in it; the end of the file would end the call."""
    times = np.arange(rate_hz * 40) / rate_hz
    sound = np.random.default_rng(1).normal(0, 30, len(times))
    sound += sum(4000 * np.sin(2 * np.pi * hz * times) for hz in tones_hz)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.repeat(sound.astype("<i2"), channels).tobytes())


def read(path: Path) -> tuple[NDArray[np.int16], int]:
    """The first channel, and its rate."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples[:: file.getnchannels()].copy(), file.getframerate()


def recorded(folder: Path) -> tuple[NDArray[np.int16], int]:
    """What baresip decoded; it writes one file a direction."""
    return read(next(folder.glob("dump-*-dec.wav")))


def baresip(
    peer: str,
    network: str,
    folder: Path,
    *,
    at_most_s: int,
    codec: str = "PCMU/8000/1",
    tones_hz: tuple[int, ...] = (),
    account: str = "",
    shares_port: bool = False,
) -> list[str]:
    """A phone ready to be started; `account` holds further parameters of its address.

    `shares_port` lets it offer that reports share the port of its sound.
    """
    _, rate_hz, channels = codec.split("/")
    write_room(folder / "room.wav", int(rate_hz), int(channels), tones_hz)
    configure(folder)
    if shares_port:
        with (folder / "config").open("a") as file:
            file.write("rtcp_mux yes\n")
    changes = {"127.0.0.1>": f"{THEIRS}>", ";audio_codecs=PCMU/8000/1;": f";audio_codecs={codec};"}
    if account:
        changes["answermode=auto"] = f"answermode=auto{account}"
    adapt(EXAMPLES / "baresip" / "accounts", folder, changes)
    (folder / "contacts").write_text("")
    return ["ip", "netns", "exec", network, peer, "-f", str(folder), "-t", str(at_most_s)]


def call_by_baresip(
    peer: str,
    network: str,
    folder: Path,
    user: str,
    *,
    at_most_s: int,
    **phone: Any,  # noqa: ANN401  what `baresip` takes
) -> str:
    """Let baresip call `user` until the bridge hangs up; returns what it printed."""
    command = baresip(peer, network, folder, at_most_s=at_most_s, **phone)
    command += ["-e", f"/dial sip:{user}@{OURS}:5060"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=at_most_s + 26,
        check=False,
    )
    return done.stdout


def last_call(bridge: RunningBridge) -> dict[str, Any]:
    call = bridge.get("/api/calls")["calls"][0]
    told = bridge.get(f"/api/calls/{call['id']}")
    assert isinstance(told, dict)
    return told


def test_baresip_hears_the_sentence_that_was_asked_for(peer: str, network: str, tmp_path: Path) -> None:
    settings = {"sip.listen": f"{OURS}:5060", "media.bind_ip": OURS}
    with RunningBridge(settings, command=[sys.executable, str(EXAMPLE)]) as bridge:
        printed = call_by_baresip(peer, network, tmp_path, "hello", at_most_s=14)
        call = last_call(bridge)

    understood = transcribe(*recorded(tmp_path))
    print(f"baresip heard: {understood!r}")
    assert word_errors(SENTENCE, understood) <= 0.1, printed[-3000:]
    assert call["reason"] == "agent finished"
    assert call["media"]["rx_packets"] > 100


def test_baresip_and_the_bridge_report_to_each_other(peer: str, network: str, tmp_path: Path) -> None:
    settings = {"sip.listen": f"{OURS}:5060", "media.bind_ip": OURS} | agents.routes(chapters="tone")
    with RunningBridge(settings) as bridge:
        printed = call_by_baresip(peer, network, tmp_path, "chapters", at_most_s=24)
        media = last_call(bridge)["media"]

    print({name: value for name, value in media.items() if name.startswith(("rtcp", "mos", "loss", "round"))})
    print(summary := printed[printed.index("Transmit:") :])
    # What baresip knows of the far end, transmit and receive, it knows from our reports.
    reported, lost = (re.search(rf"{name}: +(\d+) +(\d+)", summary) for name in ("pkt.report", "lost"))
    assert reported is not None
    assert lost is not None
    assert min(map(int, reported.groups())) > 100
    assert lost.groups() == ("0", "0")
    assert media["rtcp_sent"] >= 1
    assert media["rtcp_received"] >= 1
    assert media["rtcp_malformed"] == media["rtcp_stranger"] == media["rtcp_excess"] == 0
    assert media["lost_out"] == 0
    # baresip rounds how long it held our report, by more than this line takes: 0 is right, too.
    assert 0 <= media["round_trip_ms"] < 100
    assert media["mos_out_lowest"] > 4
    assert media["mos_in_lowest"] > 4


@pytest.mark.parametrize(("codec", "rate_hz"), [("G722/16000/1", 16000), ("opus/48000/2", 24000)])
def test_baresip_and_the_bridge_hear_each_other_wide(
    peer: str, network: str, tmp_path: Path, codec: str, rate_hz: int
) -> None:
    tones_hz = 440, 5200
    settings = {
        "sip.listen": f"{OURS}:5060",
        "media.bind_ip": OURS,
        "recording.enabled": True,
        "recording.folder": str(tmp_path / "ours"),
    }
    with RunningBridge(settings | agents.routes(firm="")) as bridge:
        printed = call_by_baresip(
            peer, network, tmp_path, "firm", at_most_s=16, codec=codec, tones_hz=tones_hz
        )
        call = last_call(bridge)

    assert call["reason"] == "agent finished", (printed[-3000:], "\n".join(bridge.output)[-3000:])
    understood = transcribe(*recorded(tmp_path))
    print(f"baresip heard by {codec}: {understood!r}")
    assert word_errors(agents.FIRM, understood) <= 0.1
    heard, rate = read(next((tmp_path / "ours").glob("*.wav")))
    assert rate == call["rate_hz"] == rate_hz
    assert call["codec"] == codec.partition("/")[0]
    spectrum = np.abs(np.fft.rfft(heard[rate : 3 * rate].astype(float)))
    loudest = {int(at) // 2 for at in np.argsort(spectrum)[-2:]}  # Two seconds: steps of half a hertz.
    assert loudest == set(tones_hz)
    assert call["media"]["rx_packets"] > 100
    assert call["media"]["lost_out"] == 0
    # The voice's own packets are passed on; of G.722 there are none.
    assert (call["media"]["tx_passed"] > 100) is codec.startswith("opus")


def test_baresip_calls_encrypted_and_reports_too(peer: str, network: str, tmp_path: Path) -> None:
    settings = {"sip.listen": f"{OURS}:5060", "media.bind_ip": OURS, "media.srtp": "required"}
    with RunningBridge(settings | agents.routes(chapters="tone")) as bridge:
        printed = call_by_baresip(
            peer, network, tmp_path, "chapters", at_most_s=24, account=";mediaenc=srtp-mand"
        )
        media = last_call(bridge)["media"]

    print({name: value for name, value in media.items() if "srt" in name or name.startswith("rtcp")})
    assert np.abs(recorded(tmp_path)[0].astype(np.int32)).max() > 3000, printed[-3000:]
    assert media["rx_packets"] > 100
    assert media["srtp_rx_end"] > 0
    # It pings in the clear, to open its NAT, before it encrypts.
    assert media["rx_srtp_auth"] <= 2
    assert media["rx_srtp_replay"] == media["tx_srtp_failed"] == 0
    assert media["rtcp_received"] >= 1
    assert media["rtcp_malformed"] == media["rtcp_stranger"] == 0
    # Its view of our stream came encrypted, and made sense.
    # baresip rounds how long it held our report, by more than this line takes: 0 is right, too.
    assert 0 <= media["round_trip_ms"] < 100


def test_baresip_is_called_encrypted(peer: str, network: str, tmp_path: Path) -> None:
    command = baresip(peer, network, tmp_path, account=";mediaenc=srtp-mand", at_most_s=30)
    ours = [sys.executable, "-m", "bridge", "call", f"sip:caller@{THEIRS}", "-a", "tests.e2e.agents:chapters"]
    for setting in (
        f"sip.listen={OURS}:5061",
        f"sip.dial_allow={THEIRS}/32",
        f"media.bind_ip={OURS}",
        "media.srtp=required",
        "routes.0.voice=tone",
    ):
        ours += ["--set", setting]

    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as phone:
        assert phone.stdout is not None
        called = subprocess.run(ours, capture_output=True, text=True, timeout=60, check=False)
        phone.terminate()
        printed = phone.stdout.read()

    print(called.stdout, called.stderr)
    assert called.returncode == 0, printed[-3000:]
    assert np.abs(recorded(tmp_path)[0].astype(np.int32)).max() > 3000
    assert "inline:" not in called.stdout + called.stderr

import resource
import socket

import pytest

from bridge.app.config import load
from bridge.app.doctor import Grade, examine, files_check, port_check, python_check, realtime_check


@pytest.mark.parametrize(
    ("version", "platform", "grade"),
    [
        ((3, 11, 0), "linux", Grade.OK),
        ((3, 14, 2), "linux", Grade.OK),
        ((3, 10, 9), "linux", Grade.FAIL),
        ((3, 12, 0), "darwin", Grade.WARN),
    ],
)
def test_python_is_judged_by_version_and_platform(
    version: tuple[int, int, int], platform: str, grade: Grade
) -> None:
    assert python_check(version, platform).grade is grade


def test_a_free_port_is_free() -> None:
    assert port_check("http.listen", ("127.0.0.1", 0), "tcp").grade is Grade.OK


def test_a_busy_port_is_named_with_its_holder_and_the_way_round() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]

        check = port_check("sip.listen", ("127.0.0.1", port), "udp")

    assert check.grade is Grade.FAIL
    assert f"127.0.0.1:{port} (udp): held by " in check.text
    assert "--set sip.listen=" in check.fix


def test_an_address_that_is_not_ours_says_so() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        other.bind(("127.0.0.1", 0))  # whoever has the port elsewhere is not in the way
        other.listen()
        check = port_check("http.listen", ("192.0.2.1", other.getsockname()[1]), "tcp")

    assert check.grade is Grade.FAIL
    assert "Cannot assign requested address" in check.text


def test_the_hard_limit_of_open_files_decides_how_many_calls_fit() -> None:
    assert files_check((1024, 4096), 1024).grade is Grade.OK
    assert files_check((1024, resource.RLIM_INFINITY), 8192).grade is Grade.OK
    scarce = files_check((256, 1024), 1024)
    assert scarce.grade is Grade.WARN
    assert "enough for 384 calls" in scarce.text
    assert "--nofile=2304:2304" in scarce.fix


def test_realtime_scheduling_that_is_missing_comes_with_the_line_that_grants_it() -> None:
    assert realtime_check(True, wanted=True).grade is Grade.OK
    assert realtime_check(False, wanted=False).grade is Grade.OK
    missing = realtime_check(False, wanted=True)
    assert missing.grade is Grade.WARN
    assert "prlimit --pid $$ --rtprio=10" in missing.fix
    assert "rtprio 10' | sudo tee /etc/security/limits.d/cosybridge.conf" in missing.fix


def test_this_machine_is_examined_from_python_to_the_voice() -> None:
    config = load(
        environ={},
        sets=["sip.listen=127.0.0.1:0", "http.listen=127.0.0.1:0", "tts_server.listen=127.0.0.1:0"],
    )

    checks = list(examine(config))

    assert len(checks) == 10
    assert checks[-1].text.startswith("the embedded voice loads in")
    assert all(check.fix for check in checks if check.grade is not Grade.OK)


def test_a_service_elsewhere_is_knocked_at_and_not_spoken_to() -> None:
    sets = [
        "sip.listen=127.0.0.1:0",
        "http.listen=127.0.0.1:0",
        "tts_server.enabled=no",
        "media.ports=21000-21003",
    ]
    with socket.socket() as service:
        service.bind(("127.0.0.1", 0))
        service.listen()
        url = f"ws://127.0.0.1:{service.getsockname()[1]}/x"

        reached = list(examine(load(environ={}, sets=[*sets, f"tts.url={url}"])))[-1]
    missed = list(examine(load(environ={}, sets=[*sets, f"tts.url={url}"])))[-1]

    assert reached.grade is Grade.OK
    assert missed.grade is Grade.FAIL
    assert "Connection refused" in missed.text


def test_a_range_of_ports_in_use_is_counted() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("0.0.0.0", 0))
        port = holder.getsockname()[1] & ~1
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as even:
            even.bind(("0.0.0.0", port) if port != holder.getsockname()[1] else ("0.0.0.0", 0))
            sets = [f"media.ports={port}-{port + 1}", "tts.url=ws://127.0.0.1:9/"]

            texts = [check.text for check in examine(load(environ={}, sets=sets))]

    assert any(f"media.ports {port}-{port + 1}: 0 of 1 RTP ports are free" in text for text in texts)

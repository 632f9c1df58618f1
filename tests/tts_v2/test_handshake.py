import json

import pytest

from bridge.tts_v2.errors import StartFailed
from bridge.tts_v2.handshake import proxy_for
from tests.tts_v2.making import synthesizer
from tests.tts_v2.service import embedded, scripted

_PROXIES = (
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _PROXIES:
        monkeypatch.delenv(name, raising=False)


def test_a_secure_address_takes_the_https_proxy_and_a_plain_one_the_http_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://secure:3128")
    monkeypatch.setenv("http_proxy", "plain:3128")

    assert proxy_for("wss://example.com/") == "http://secure:3128"
    assert proxy_for("ws://example.com/") == "http://plain:3128"


def test_the_loopback_and_what_is_excepted_take_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "inside.example.com")

    assert proxy_for("ws://127.0.0.1:8090/") is None
    assert proxy_for("ws://localhost:8090/") is None
    assert proxy_for("ws://[::1]:8090/") is None
    assert proxy_for("ws://inside.example.com/") is None
    assert proxy_for("wss://example.com/") is None


@pytest.mark.parametrize(
    ("body", "name", "message"),
    [
        (json.dumps({"code": "Throttling", "message": "slow down"}), "Throttling", "slow down"),
        (json.dumps({"code": 5, "message": None}), "Refused", "the service answered 429 Too Many Requests"),
        (json.dumps(["a"]), "Refused", "the service answered 429 Too Many Requests"),
        ("<html>no</html>", "Refused", "the service answered 429 Too Many Requests"),
        ("[" * 100_000, "Refused", "the service answered 429 Too Many Requests"),
        ("", "Refused", "the service answered 429 Too Many Requests"),
    ],
)
def test_a_refusal_says_what_the_service_says(body: str, name: str, message: str) -> None:
    with scripted(refusal=(429, body)) as service:
        made = synthesizer(service.url)
        with pytest.raises(StartFailed) as caught:
            made.call("Hello")

    failure = caught.value
    assert (failure.http_code, failure.name, failure.message) == (429, name, message)
    assert failure.request_id == made.get_last_request_id()


def test_an_answer_that_is_no_switch_of_protocols_is_a_refusal() -> None:
    with scripted(refusal=(200, "Welcome")) as service, pytest.raises(StartFailed) as caught:
        synthesizer(service.url).call("Hello")

    assert (caught.value.http_code, caught.value.message) == (44, "the service answered 200 OK")


def test_the_embedded_service_refuses_a_wrong_key() -> None:
    with embedded(api_keys=("right",)) as url, pytest.raises(StartFailed) as caught:
        synthesizer(url).call("Hello")

    assert (caught.value.http_code, caught.value.name) == (401, "InvalidApiKey")
    assert caught.value.message == "Invalid API-key provided."


def test_a_wrong_path_is_a_refusal() -> None:
    with embedded() as url, pytest.raises(StartFailed) as caught:
        synthesizer(url.replace("inference", "realtime")).call("Hello")

    assert caught.value.http_code == 404

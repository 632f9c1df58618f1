import json

import pytest

from bridge.tts_v2.errors import StartFailed
from tests.tts_v2.making import synthesizer
from tests.tts_v2.service import embedded, scripted


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

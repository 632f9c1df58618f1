import json

import pytest

from bridge.cosyvoice.client_steps import Failed
from bridge.cosyvoice.failures import is_retryable, refused, to_error
from bridge.errors import (
    AuthenticationError,
    ConnectionLostError,
    InvalidRequestError,
    ServiceError,
    SynthesisError,
    SynthesisTimeoutError,
    ThrottledError,
)

URL = "wss://voice.example"


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        ("InvalidParameter", InvalidRequestError, False),
        ("ModelNotFound", InvalidRequestError, False),
        ("DataInspectionFailed", InvalidRequestError, False),
        ("InvalidApiKey", AuthenticationError, False),
        ("Arrearage", AuthenticationError, False),
        ("Throttling.RateQuota", ThrottledError, True),
        ("Busy", ThrottledError, True),
        ("InternalError.Algo", ServiceError, True),
        ("ModelUnavailable", ServiceError, True),
        ("CLIENT_ERROR", SynthesisTimeoutError, True),
        ("Timeout", SynthesisTimeoutError, True),
        ("Closed", ConnectionLostError, True),
        ("SomethingNew", SynthesisError, False),
    ],
)
def test_a_code_says_which_error_it_is_and_whether_to_try_again(
    code: str, kind: type[SynthesisError], retryable: bool
) -> None:
    error = to_error(Failed(code, "why", is_retryable(code), stage="start"))

    assert type(error) is kind
    assert (error.code, error.message, error.retryable, error.stage) == (code, "why", retryable, "start")
    assert str(error) == f"{code}: why"


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (401, AuthenticationError, False),
        (403, AuthenticationError, False),
        (404, InvalidRequestError, False),
        (429, ThrottledError, True),
        (500, ServiceError, True),
        (503, ServiceError, True),
    ],
)
def test_a_status_says_it_where_there_is_no_code(
    status: int, kind: type[SynthesisError], retryable: bool
) -> None:
    error = to_error(refused(URL, status))

    assert type(error) is kind
    assert (error.code, error.status, error.retryable) == ("Refused", status, retryable)
    assert f"{URL} answered {status}" in error.message


def test_the_services_own_words_are_told() -> None:
    body = json.dumps({"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "r-1"})

    failure = refused(URL, 401, body.encode())

    assert (failure.code, failure.request_id) == ("InvalidApiKey", "r-1")
    assert failure.message == (
        f"{URL} answered 401: set tts.api_key or DASHSCOPE_API_KEY to a valid key "
        "(InvalidApiKey: Invalid API-key provided.)"
    )


def test_a_message_without_a_code_is_told_as_well() -> None:
    assert refused(URL, 500, b'{"message": "out of\\norder"}').message == f"{URL} answered 500 (out of order)"


def test_a_key_that_the_answer_repeats_is_not_told() -> None:
    failure = refused(
        URL, 401, b'{"code": "InvalidApiKey", "message": "sk-secret is wrong"}', key="sk-secret"
    )

    assert "sk-secret" not in failure.message
    assert "*** is wrong" in failure.message


@pytest.mark.parametrize(
    "body", [b"", b"no\n", b"[1]", b"\xff", b'{"code": 5}', b"[" * 65_536, b'{"message": "' + b"x" * 200_000]
)
def test_whatever_else_is_answered_the_status_counts(body: bytes) -> None:
    failure = refused(URL, 503, body)

    assert failure == Failed("Refused", f"{URL} answered 503", retryable=True, status=503)


def test_a_long_answer_is_told_in_one_short_line() -> None:
    body = json.dumps({"code": "c" * 500, "message": "m" * 5000}).encode()

    assert len(refused(URL, 500, body).message) < 350

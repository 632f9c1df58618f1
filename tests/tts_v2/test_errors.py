import pickle
import sys
from types import ModuleType

import pytest

from bridge.errors import BridgeError
from bridge.tts_v2.errors import (
    ConnectionLost,
    InputRequired,
    InvalidParameter,
    InvalidParameterType,
    InvalidTask,
    ModelRequired,
    RequestFailure,
    StartFailed,
    TtsError,
)

ALL = (
    ConnectionLost,
    InputRequired,
    InvalidParameter,
    InvalidParameterType,
    InvalidTask,
    ModelRequired,
    RequestFailure,
    StartFailed,
)


class SdkError(Exception):
    pass


class SdkFailure(SdkError):  # noqa: N818  as the SDK names it
    def __init__(self, request_id: str) -> None:
        raise AssertionError("never made")


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """What the SDK has loaded: classes of its own, by the same names."""
    module = ModuleType("dashscope.common.error")
    for kind in ALL:
        setattr(module, kind.__name__, type(kind.__name__, (SdkError,), {}))
    module.RequestFailure = SdkFailure  # type: ignore[attr-defined]
    for name in ("ConnectionLost", "StartFailed", "InvalidParameterType"):
        delattr(module, name)
    monkeypatch.setitem(sys.modules, "dashscope.common.error", module)
    return module


def test_everything_has_one_root() -> None:
    assert all(issubclass(kind, TtsError) and issubclass(kind, BridgeError) for kind in ALL)


def test_what_the_standard_library_calls_them_catches_them_too() -> None:
    assert isinstance(InvalidParameter("x"), ValueError)
    assert isinstance(InvalidParameterType("x"), TypeError)
    assert isinstance(InvalidParameterType("x"), ValueError)
    assert isinstance(ConnectionLost(), ConnectionError)
    assert isinstance(StartFailed(), ConnectionError)
    assert isinstance(StartFailed(), TimeoutError)


def test_a_failure_says_what_the_sdks_says() -> None:
    failure = RequestFailure("id", "no such voice", "InvalidParameter", 44)

    assert str(failure) == (
        "Request failed, request_id: id, http_code: 44 "
        "error_name: InvalidParameter, error_message: no such voice"
    )


def test_a_message_is_the_text_of_the_error() -> None:
    assert str(InvalidTask("task has already started.")) == "task has already started."


@pytest.mark.parametrize("kind", ALL)
def test_with_the_sdk_loaded_its_classes_catch_ours(sdk: ModuleType, kind: type[TtsError]) -> None:
    error = kind("a message")

    assert isinstance(error, SdkError)
    assert isinstance(error, kind)
    assert type(error).__name__ == kind.__name__


def test_the_same_name_is_caught_by_the_same_name(sdk: ModuleType) -> None:
    assert isinstance(InvalidTask("x"), sdk.InvalidTask)
    assert not isinstance(InvalidTask("x"), sdk.InputRequired)
    assert isinstance(StartFailed(http_code=401), SdkFailure)
    assert isinstance(InvalidParameterType("x"), sdk.InvalidParameter)


def test_one_class_is_made_of_a_pair(sdk: ModuleType) -> None:
    assert type(InvalidTask("a")) is type(InvalidTask("b"))


@pytest.mark.parametrize("kind", [InvalidTask, InvalidParameterType])
def test_errors_travel_between_processes(sdk: ModuleType, kind: type[TtsError]) -> None:
    copied = pickle.loads(pickle.dumps(kind("a message")))  # noqa: S301  our own

    assert isinstance(copied, kind)
    assert str(copied) == "a message"


def test_failures_travel_with_what_they_know(sdk: ModuleType) -> None:
    copied = pickle.loads(pickle.dumps(ConnectionLost("id", "gone", "Closed", 44)))  # noqa: S301  our own

    assert (copied.request_id, copied.message, copied.name, copied.http_code) == ("id", "gone", "Closed", 44)

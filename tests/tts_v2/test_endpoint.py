import sys
from types import ModuleType
from typing import Any

import pytest

import bridge.tts_v2 as package
from bridge.tts_v2.endpoint import Endpoint, find_endpoint
from bridge.tts_v2.errors import InputRequired, InvalidParameter, InvalidParameterType


def found(url: object = None, headers: object = None, workspace: object = None) -> Endpoint:
    return find_endpoint(url, headers, workspace)


def authorization(endpoint: Endpoint) -> str:
    return dict(endpoint.headers)["Authorization"]


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A loaded SDK with its two settings."""
    module = ModuleType("dashscope")
    module.api_key = "key-of-the-sdk"  # type: ignore[attr-defined]
    module.base_websocket_api_url = "ws://of.the.sdk/"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dashscope", module)
    return module


def test_the_key_and_the_address_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHSCOPE_WEBSOCKET_BASE_URL", "ws://127.0.0.1:8090/api-ws/v1/inference")

    endpoint = found()

    assert endpoint.url == "ws://127.0.0.1:8090/api-ws/v1/inference"
    assert authorization(endpoint) == "Bearer test-key"


def test_a_loaded_sdk_comes_before_the_environment(sdk: ModuleType) -> None:
    endpoint = found()

    assert (endpoint.url, authorization(endpoint)) == ("ws://of.the.sdk/", "Bearer key-of-the-sdk")


def test_settings_of_the_module_come_before_a_loaded_sdk(
    sdk: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "api_key", "key-of-the-module")
    monkeypatch.setattr(package, "base_websocket_api_url", "ws://of.the.module/")

    endpoint = found()

    assert (endpoint.url, authorization(endpoint)) == ("ws://of.the.module/", "Bearer key-of-the-module")


def test_an_sdk_without_a_key_leaves_it_to_the_environment(sdk: ModuleType) -> None:
    sdk.api_key = None  # type: ignore[attr-defined]

    assert authorization(found()) == "Bearer test-key"


def test_an_argument_comes_before_all_settings(sdk: ModuleType) -> None:
    assert found("wss://example.com/inference/").url == "wss://example.com/inference/"


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("", "wss://dashscope.aliyuncs.com/api-ws/v1/inference"),
        ("cn-beijing", "wss://dashscope.aliyuncs.com/api-ws/v1/inference"),
        ("ap-southeast-1", "wss://ws-1.ap-southeast-1.maas.aliyuncs.com/api-ws/v1/inference"),
    ],
)
def test_without_an_address_the_region_decides(
    monkeypatch: pytest.MonkeyPatch, region: str, url: str
) -> None:
    monkeypatch.setenv("DASHSCOPE_API_REGION", region)

    assert found(workspace="ws-1").url == url


def test_a_workspace_fills_its_place_in_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "wss://{workspace_id}.example.com/"

    assert found(url, workspace="one").url == "wss://one.example.com/"
    with pytest.raises(InputRequired, match="no workspace id is available"):
        found(url)
    monkeypatch.setenv("DASHSCOPE_WORKSPACE_ID", "two")
    assert found(url).url == "wss://two.example.com/"


@pytest.mark.parametrize("workspace", ["evil.com/", "a b", "", "-x", "x" * 65, "x\n"])
def test_a_workspace_that_would_lead_elsewhere_is_refused(workspace: str) -> None:
    with pytest.raises((InvalidParameter, InputRequired)):
        found("wss://{workspace_id}.example.com/", workspace=workspace)


def test_headers_of_the_user_replace_ours_whatever_their_case() -> None:
    endpoint = found(
        "ws://a/", {"authorization": "Bearer mine", "X-DashScope-DataInspection": "enable"}, "ws-1"
    )

    assert dict(endpoint.headers) == {
        "User-Agent": "cosybridge",
        "authorization": "Bearer mine",
        "X-DashScope-DataInspection": "enable",
        "X-DashScope-WorkSpace": "ws-1",
    }


def test_no_key_is_said_in_the_sdks_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASHSCOPE_API_KEY")

    with pytest.raises(InputRequired, match=r"^apikey is required!$"):
        found("ws://a/")


@pytest.mark.parametrize("key", ["two\r\nlines", "schlüssel"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("DASHSCOPE_API_KEY", key)

    with pytest.raises(InvalidParameter, match="cannot stand in an HTTP header") as caught:
        found("ws://a/")
    assert key not in str(caught.value)


def test_the_key_is_not_shown_with_the_endpoint() -> None:
    assert "test-key" not in repr(found("ws://a/"))


@pytest.mark.parametrize("url", ["http://a/", "ws://", "a:8090", "ws://a:99999/", "ws://[/", ""])
def test_what_is_no_websocket_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidParameter, match="url must be ws://HOST"):
        found(url)


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": 5},
        {"headers": [("a", "b")]},
        {"headers": {"a": 5}},
        {"headers": {5: "a"}},
        {"workspace": 5},
    ],
)
def test_what_has_the_wrong_type_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterType):
        found(**({"url": "ws://a/"} | arguments))


def test_a_header_that_would_be_two_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="cannot stand in an HTTP header"):
        found("ws://a/", {"X-A": "b\r\nX-C: d"})
    with pytest.raises(InvalidParameter, match="cannot stand in an HTTP header"):
        found("ws://a/", {"X A": "b"})

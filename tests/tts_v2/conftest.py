import pytest

_VARIABLES = (
    "DASHSCOPE_API_REGION",
    "DASHSCOPE_API_VERSION",
    "DASHSCOPE_WEBSOCKET_BASE_URL",
    "DASHSCOPE_WORKSPACE_ID",
)


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key, and nothing else that the machine may have set."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DASHSCOPE_API_KEY", "test-key")

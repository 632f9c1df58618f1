import pytest

from bridge.cosyvoice.endpoints import REGIONS, endpoint, fill_workspace, http_endpoint, is_cloud


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("cn-beijing", "dashscope.aliyuncs.com"),
        ("ap-southeast-1", "dashscope-intl.aliyuncs.com"),
        ("cn-hongkong", "cn-hongkong.dashscope.aliyuncs.com"),
        ("us-east-1", "dashscope-intl.aliyuncs.com"),
    ],
)
def test_a_region_has_a_host_that_workspaces_share(region: str, host: str) -> None:
    assert endpoint(region) == f"wss://{host}/api-ws/v1/inference"
    assert http_endpoint(region) == f"https://{host}"


@pytest.mark.parametrize("region", REGIONS)
def test_a_workspace_has_a_host_of_its_own(region: str) -> None:
    assert endpoint(region, "ws-1") == f"wss://ws-1.{region}.maas.aliyuncs.com/api-ws/v1/inference"
    assert http_endpoint(region, "ws-1") == f"https://ws-1.{region}.maas.aliyuncs.com"


def test_beijing_is_meant_where_nothing_is_said() -> None:
    assert endpoint() == endpoint("cn-beijing")


def test_a_region_that_is_none_is_named_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="there is no region 'mars': use one of cn-beijing"):
        endpoint("mars")


@pytest.mark.parametrize("workspace", ["evil.example/", "a.b", "-a", "a b", "a" * 70, "a\n"])
def test_a_workspace_that_would_lead_elsewhere_is_refused(workspace: str) -> None:
    with pytest.raises(ValueError, match="a workspace id has letters, digits and dashes"):
        endpoint("cn-beijing", workspace)


def test_an_address_may_say_where_the_workspace_goes() -> None:
    assert fill_workspace("wss://{workspace_id}.example/x", "ws-1") == "wss://ws-1.example/x"
    assert fill_workspace("wss://voice.example/x", "") == "wss://voice.example/x"
    with pytest.raises(ValueError, match="needs a workspace"):
        fill_workspace("wss://{workspace_id}.example/x", "")


@pytest.mark.parametrize(
    ("url", "known"),
    [
        (endpoint("ap-southeast-1"), True),
        (endpoint("cn-beijing", "ws-1"), True),
        ("ws://dashscope.aliyuncs.com/x", False),
        ("wss://aliyuncs.com.evil.example/x", False),
        ("ws://127.0.0.1:8090/x", False),
        ("nonsense", False),
    ],
)
def test_a_key_of_the_cloud_is_for_the_cloud(url: str, known: bool) -> None:
    assert is_cloud(url) is known

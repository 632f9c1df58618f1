import pytest

from bridge.app.settings import CLOUD_URL, Config, HttpSection, SipSection, TtsSection, embedded_url


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        (("127.0.0.1", 8090), "ws://127.0.0.1:8090/api-ws/v1/inference"),
        (("0.0.0.0", 9000), "ws://127.0.0.1:9000/api-ws/v1/inference"),
        (("10.0.0.9", 9000), "ws://10.0.0.9:9000/api-ws/v1/inference"),
    ],
)
def test_the_embedded_service_is_reached_where_it_listens(listen: tuple[str, int], url: str) -> None:
    assert embedded_url(listen) == url


@pytest.mark.parametrize(("ip", "allowed"), [("127.0.0.1", True), ("127.255.0.9", True), ("10.0.0.1", False)])
def test_only_loopback_may_be_dialled_unless_told_otherwise(ip: str, allowed: bool) -> None:
    assert SipSection().may_dial(ip) is allowed


def test_resolving_twice_changes_nothing() -> None:
    once = Config().resolved(dashscope_key="sk-1")

    assert once.resolved() == once
    assert once.tts.url == CLOUD_URL


@pytest.mark.parametrize("kind", ["embedded", "cloud"])
def test_the_kind_of_service_is_the_same_before_and_after_resolving(kind: str) -> None:
    config = Config(tts=TtsSection(url=kind))

    assert config.tts_kind == config.resolved().tts_kind == kind


def test_without_an_address_and_a_key_the_embedded_service_speaks() -> None:
    assert Config().resolved().tts_kind == "embedded"


@pytest.mark.parametrize(
    ("section", "url"),
    [
        (TtsSection(url="cloud"), "wss://dashscope.aliyuncs.com/api-ws/v1/inference"),
        (
            TtsSection(url="cloud", region="ap-southeast-1"),
            "wss://dashscope-intl.aliyuncs.com/api-ws/v1/inference",
        ),
        (
            TtsSection(url="cloud", workspace="ws-1"),
            "wss://ws-1.cn-beijing.maas.aliyuncs.com/api-ws/v1/inference",
        ),
    ],
)
def test_the_cloud_is_where_the_region_and_the_workspace_say(section: TtsSection, url: str) -> None:
    once = Config(tts=section).resolved()

    assert once.tts.url == url
    assert once.tts_kind == once.resolved().tts_kind == "cloud"


def test_an_address_may_name_the_workspace_by_its_setting() -> None:
    section = TtsSection(url="wss://{workspace_id}.voice.example/x", workspace="ws-1")

    assert Config(tts=section).resolved().tts.url == "wss://ws-1.voice.example/x"


def test_an_address_that_needs_a_workspace_is_refused_without_one() -> None:
    with pytest.raises(ValueError, match="needs a workspace"):
        TtsSection(url="wss://{workspace_id}.voice.example/x")


@pytest.mark.parametrize(
    ("cert", "key", "is_good"),
    [
        ("", "", True),
        ("self", "", True),
        ("a.pem", "b.pem", True),
        ("a.pem", "", False),
        ("", "b.pem", False),
    ],
)
def test_a_certificate_comes_with_its_key(cert: str, key: str, is_good: bool) -> None:
    if is_good:
        assert HttpSection(tls_cert=cert, tls_key=key).tls_cert == cert
    else:
        with pytest.raises(ValueError, match="go together"):
            HttpSection(tls_cert=cert, tls_key=key)


def test_tls_needs_a_certificate_and_origins_are_origins() -> None:
    def section(**keys: object) -> SipSection:
        return SipSection.model_validate(keys)

    assert section(tls_listen="0.0.0.0:5061", tls_cert="self").tls_listen == (("0.0.0.0", 5061),)
    assert section(ws_origins=["https://Shop.example:8443"]).ws_origins == ("https://shop.example:8443",)
    with pytest.raises(ValueError, match="tls_listen needs tls_cert"):
        section(tls_listen="0.0.0.0:5061")
    with pytest.raises(ValueError, match="must be an origin"):
        section(ws_origins=["https://shop.example/page"])

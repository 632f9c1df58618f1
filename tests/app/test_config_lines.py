"""Settings of trunks, accounts, addresses and name servers."""

from pathlib import Path

import pytest

from bridge.app.config import load, load_traced
from bridge.app.show import lines
from bridge.app.trunk_settings import TrunkSection
from bridge.errors import ConfigError
from tests.app.test_config import SECRET, refusal, written


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[trunks]]\nname = "a"', "my.toml:1: trunks.0 = "),
        ('[[trunks]]\nserver = "pbx"', "needs a name"),
        ('[trunks]\nname = "a"', "my.toml:2: trunks is a list of tables; write [[trunks]]"),
        ('[[trunks]]\nnam = "a"', "my.toml:2: there is no key trunks.0.nam; did you mean trunks.0.name?"),
        ('[[trunks]]\nname = "a b"\nserver = "x"', "my.toml:2: trunks.0.name"),
        ('[[trunks]]\nname = "a"\nserver = "x:99999"', 'must be a host or "host:port"'),
        ('[[trunks]]\nname = "a"\nserver = "x"\nregisters = true', "needs a user to register"),
        (
            '[[trunks]]\nname = "a"\nserver = "x"\npassword = "sk-do-not-print-me"',
            "needs a user or auth_user",
        ),
        ('[[trunks]]\nname = "a"\nserver = "x"\nuser = "a@b"', "must be the part before the @"),
        ('[[trunks]]\nname = "a"\nserver = "x"\nauth_user = "a\\"b"', "without quotes"),
        (
            '[[trunks]]\nname = "a"\nserver = "x"\ndials = ["49*1"]',
            'my.toml:4: trunks.0.dials = ["49*1"]: "49*1" must be',
        ),
        ('[[trunks]]\nname = "a"\nserver = "x"\ncountry_code = "+49"', "must have at most 5 digits"),
        (
            '[[trunks]]\nname = "a"\nserver = "x"\n[[trunks]]\nname = "a"\nserver = "y"',
            "my.toml:5: trunks.1.name",
        ),
        ('[sip]\ndigests = ["SHA-1"]', 'must be a list of "SHA-256" and "MD5"'),
        ("[sip]\ndigests = []", 'must be a list of "SHA-256" and "MD5"'),
        ('[[accounts]]\nuser = "lena"\npassword = "short"', "needs a password of at least 8 characters"),
        ('[[accounts]]\npassword = "sk-do-not-print-me"', "needs a user"),
    ],
)
def test_a_wrong_trunk_or_account_is_refused_at_its_line_and_its_password_is_not_shown(
    tmp_path: Path, text: str, message: str
) -> None:
    said = refusal(tmp_path, text)

    assert message in said
    assert "my.toml:" in said
    assert SECRET not in said


def test_the_password_of_a_trunk_may_come_from_the_environment(tmp_path: Path) -> None:
    file = written(tmp_path, '[[trunks]]\nname = "a"\nserver = "pbx:5070"\nuser = "100"\n')

    loaded = load_traced(file, environ={"COSYBRIDGE_TRUNKS__0__PASSWORD": SECRET})

    (trunk,) = loaded.config.trunks
    assert trunk.server == ("pbx", 5070)
    assert TrunkSection.model_validate({"name": "a", "server": "[2001:db8::5]"}).server == (
        "2001:db8::5",
        None,
    )
    assert trunk.password is not None
    assert trunk.password.get_secret_value() == SECRET
    assert SECRET not in repr(loaded)


def test_a_table_begun_by_the_command_line_is_refused_by_that_name() -> None:
    with pytest.raises(ConfigError, match=r"^--set: trunks\.0 = .*needs a server"):
        load(environ={}, sets=["trunks.0.name=a"])


@pytest.mark.parametrize(
    ("given", "held", "shown"),
    [
        ("[::1]:5060", (("::1", 5060),), '"[::1]:5060"'),
        ("0.0.0.0:5060, [::]:5062", (("0.0.0.0", 5060), ("::", 5062)), '["0.0.0.0:5060", "[::]:5062"]'),
        ('["[2001:DB8::0:1]:5061"]', (("2001:db8::1", 5061),), '"[2001:db8::1]:5061"'),
    ],
)
def test_the_line_may_be_on_ipv4_on_ipv6_or_on_both(
    given: str, held: tuple[tuple[str, int], ...], shown: str
) -> None:
    loaded = load_traced(environ={}, sets=[f"sip.listen={given}"])

    assert loaded.config.sip.listen == held
    assert any(line.startswith(f"sip.listen = {shown} ") for line in lines(loaded))


def test_networks_and_servers_may_be_of_ipv6(tmp_path: Path) -> None:
    text = """
    [sip]
    dial_allow = ["2001:db8::/32", "::1"]
    [[trunks]]
    name = "six"
    server = "[2001:DB8::5]:5070"
    allow = ["2001:db8:1::/48"]
    """

    config = load(written(tmp_path, text), environ={})

    assert config.sip.may_dial("2001:db8::9")
    assert config.sip.may_dial("::1")
    assert not config.sip.may_dial("127.0.0.1")
    assert config.trunks[0].server == ("2001:db8::5", 5070)


def test_dns_servers_are_addresses_with_or_without_a_port() -> None:
    config = load(
        environ={}, sets=['sip.dns_servers=["192.0.2.53","192.0.2.54:5353","2001:db8::53","[::1]:54"]']
    )

    assert config.sip.dns_servers == (
        ("192.0.2.53", 53),
        ("192.0.2.54", 5353),
        ("2001:db8::53", 53),
        ("::1", 54),
    )
    assert load(environ={}, sets=["sip.dns_servers=192.0.2.53"]).sip.dns_servers == (("192.0.2.53", 53),)

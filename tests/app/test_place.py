"""By which names and addresses a browser may ask for this machine."""

from pathlib import Path

from bridge.app.place import own_names

TABLE = """\
fd000000000000000000000000000002 04 40 00 82     eth0
fe8000000000000000fc00fffe000001 04 40 20 80     eth0
20010db8000000000000000000000007 04 40 00 01     eth0
00000000000000000000000000000001 01 80 10 80       lo
"""


def test_addresses_in_ipv6_are_ours_as_well_unless_they_pass(tmp_path: Path) -> None:
    table = tmp_path / "if_inet6"
    table.write_text(TABLE)

    names = own_names(table)

    assert {"localhost", "127.0.0.1", "::1", "fd00::2", "fe80::fc:ff:fe00:1"} <= set(names)
    assert "2001:db8::7" not in names  # temporary
    assert len(names) == len(set(names))


def test_a_machine_without_ipv6_has_the_others(tmp_path: Path) -> None:
    assert own_names(tmp_path / "absent")[:3] == ["localhost", "127.0.0.1", "::1"]

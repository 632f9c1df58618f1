"""Scanners of the world look for phones, users and passwords: they learn nothing, and no call hears of it."""

import asyncio
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.load.caller import Caller
from tests.e2e import agents
from tests.e2e.lab import matches, rendered
from tests.e2e.running import RunningBridge
from tests.e2e.undisturbed import undisturbed
from tests.interop.network import OURS

pytestmark = [pytest.mark.interop("svmap"), pytest.mark.timeout(240)]

USERS = ("lena", "bert", "firm", "admin", "1000", "1001", "100", "hello")
"""One has an account, one has an agent, the others are nobody."""
WORDS = ("secret", "1234", "letmein", "lena")
SETTINGS = {
    "sip.listen": f"{OURS}:5060",
    "media.bind_ip": OURS,
    "media.standby": "false",
    "accounts.0.user": "lena",
    "accounts.0.password": "correct horse",
    "bargein.neural": "false",
    # A scanner's queries come by 50 to 150 a second.
    "sip.max_requests_per_s": 20,
}


class Scanner:
    """sipvicious in a network of its own."""

    def __init__(self, network: str, folder: Path) -> None:
        self._network = network
        self._folder = folder
        (folder / "users").write_text("\n".join(USERS) + "\n")
        (folder / "words").write_text("\n".join(WORDS) + "\n")

    def run(self, *command: str, at_most_s: int = 5) -> str:
        """What it printed, in that time: some of its scans never end by themselves."""
        words = ["ip", "netns", "exec", self._network, "timeout", "-s", "INT", str(at_most_s), *command]
        done = subprocess.run(
            words,
            cwd=self._folder,
            env={"HOME": str(self._folder), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        return done.stdout + done.stderr

    def sweep(self) -> dict[str, str]:
        """Everything it can do, all at once."""
        scans: dict[str, tuple[str, ...]] = {
            f"map {method}": ("svmap", "-m", method, OURS) for method in ("OPTIONS", "REGISTER")
        }
        for method in ("REGISTER", "INVITE", "OPTIONS"):
            scans[f"war {method}"] = ("svwar", "-m", method, "-d", "users", OURS)
            scans[f"crack {method}"] = ("svcrack", "-m", method, "-u", "lena", "-d", "words", OURS)
        with ThreadPoolExecutor(len(scans)) as pool:
            return dict(zip(scans, pool.map(lambda words: self.run(*words), scans.values()), strict=True))


def tabled(told: str) -> list[str]:
    """First cells of the table of findings."""
    return [line.split("|")[1].strip() for line in told.splitlines() if line.startswith("| ")][1:]


async def swept_while_talking(bridge: RunningBridge, scanner: Scanner) -> dict[str, str]:
    """Scan for as long as a caller listens to a sentence; every sample of it arrives."""
    async with await Caller.start(clock=SystemClock(), dice=SystemDice(), local_ip=OURS) as caller:
        await caller.dial(f"sip:firm@{OURS}:5060", timeout_s=10)
        scan = asyncio.create_task(asyncio.to_thread(scanner.sweep))
        await asyncio.wait_for(asyncio.shield(caller.call.ended), 30)
        heard = caller.heard()
        told = await scan
    made = await rendered(bridge, [agents.FIRM])
    (match,) = matches(heard, made.values())
    # The voice's last samples, less than a packet of silence, may be left out.
    assert match.expected - match.matched < 160
    assert (match.altered, match.gaps) == (0, ())
    return told


@undisturbed
async def test_strangers_learn_neither_users_nor_passwords(peer: str, network: str, tmp_path: Path) -> None:
    with RunningBridge(SETTINGS | {"sip.allow": f"{OURS}/32"} | agents.routes(firm="")) as bridge:
        told = await swept_while_talking(bridge, Scanner(network, tmp_path))
        unproven = bridge.metric("cosybridge_sip_total", 'kind="digest_')
        unasked = bridge.metric("cosybridge_sip_total", 'kind="strays"')

    assert {name: tabled(text) for name, text in told.items()} == {name: [] for name in told}
    assert unproven >= 2
    assert unasked >= 4


async def test_strangers_hear_nothing_at_all_where_there_are_no_accounts(
    peer: str, network: str, tmp_path: Path
) -> None:
    settings = {key: value for key, value in SETTINGS.items() if not key.startswith("accounts")}
    with RunningBridge(settings | {"sip.allow": f"{OURS}/32"} | agents.routes(firm="")) as bridge:
        scanner = Scanner(network, tmp_path)
        told = scanner.run("svmap", OURS) + scanner.run("svwar", "-d", "users", OURS)
        strangers = bridge.metric("cosybridge_sip_total", 'kind="strangers"')

    assert told.count("found nothing") == 2
    assert strangers >= 2


@undisturbed
async def test_who_may_call_finds_a_telephone_and_no_more(peer: str, network: str, tmp_path: Path) -> None:
    with RunningBridge(SETTINGS | agents.routes(firm="")) as bridge:
        told = await swept_while_talking(bridge, Scanner(network, tmp_path))
        throttled = bridge.metric("cosybridge_sip_total", 'kind="throttled"')

    assert tabled(told["map OPTIONS"]) == [f"{OURS}:5060"]
    # Every name is answered alike, and there is nothing to register to.
    assert tabled(told["war REGISTER"]) == []
    assert tabled(told["crack REGISTER"]) == tabled(told["crack INVITE"]) == []
    assert throttled > 0

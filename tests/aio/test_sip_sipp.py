"""Signalling with sipp, a stack that is not ours: strict scenarios, and calls over a lossy line."""

import asyncio
from pathlib import Path
from typing import cast

import pytest

from bridge.aio.sip import IncomingCall, SipEndpoint, SipSettings
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.sip.offer import Negotiator
from tests.e2e.running import free_port

pytestmark = [pytest.mark.interop("sipp"), pytest.mark.timeout(60)]

SCENARIOS = Path(__file__).parent / "sipp"


async def start(serve: "Serving") -> SipEndpoint:
    settings = SipSettings(listen=("127.0.0.1", 0), close_within_s=0.2)
    return await SipEndpoint.start(settings, clock=SystemClock(), dice=SystemDice(), on_call=serve)


class Serving:
    """Answers every call, and notes how each ended."""

    def __init__(self, *, hangs_up_when_held: bool = False) -> None:
        self.arrived = 0
        self.endings: list[str] = []
        self._hangs_up_when_held = hangs_up_when_held

    async def __call__(self, incoming: IncomingCall) -> None:
        self.arrived += 1
        incoming.ring()
        if not incoming.sdp:
            await incoming.ringing(10)
            return
        ours = Negotiator(ip=incoming.local_ip, port=50000, session_id=1)
        call = await incoming.answer(ours.answer(incoming.sdp))
        held = asyncio.Event()

        def renegotiate(offer: bytes) -> bytes:
            sdp = ours.answer(offer)
            assert ours.negotiated is not None
            if ours.negotiated.held:
                held.set()
            return sdp

        call.on_reinvite = renegotiate
        if self._hangs_up_when_held:
            await held.wait()
            await call.hangup("held")
        self.endings.append(await call.ended)


async def sipp(path: str, port: int, folder: Path, *arguments: str) -> str:
    """Run sipp against a port; return what it printed.

    Raises:
        AssertionError: If any of its calls failed.
    """
    process = await asyncio.create_subprocess_exec(
        path,
        f"127.0.0.1:{port}",
        *("-i", "127.0.0.1", "-nostdin", "-timeout", "40", "-timeout_error"),
        *("-trace_err", "-error_file", str(folder / "errors")),
        *arguments,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    errors = (folder / "errors").read_text() if (folder / "errors").exists() else ""
    assert process.returncode == 0, errors + printed.decode(errors="replace")[-3000:]
    return printed.decode(errors="replace")


async def test_a_late_ack_a_hold_and_a_bye_along_the_recorded_route(peer: str, tmp_path: Path) -> None:
    serving = Serving(hangs_up_when_held=True)
    endpoint = await start(serving)
    try:
        printed = await sipp(
            peer, endpoint.listen[1], tmp_path, "-sf", str(SCENARIOS / "hold.xml"), "-m", "1"
        )

        assert serving.endings == ["held"]
        repeated = next(line for line in printed.splitlines() if " 200 <---" in line)
        assert int(repeated.split()[3]) >= 2, printed
    finally:
        await endpoint.close()


async def test_a_caller_that_gives_up_while_it_rings(peer: str, tmp_path: Path) -> None:
    serving = Serving()
    endpoint = await start(serving)
    try:
        await sipp(peer, endpoint.listen[1], tmp_path, "-sf", str(SCENARIOS / "cancel.xml"), "-m", "1")

        assert serving.arrived == 1
        assert endpoint.calls == 0
    finally:
        await endpoint.close()


async def test_many_calls_over_a_line_that_loses_every_fifth_datagram(peer: str, tmp_path: Path) -> None:
    serving = Serving()
    endpoint = await start(serving)
    try:
        lossy = ("-sn", "uac", "-m", "15", "-r", "60", "-d", "100", "-lost", "20")
        await sipp(peer, endpoint.listen[1], tmp_path, *lossy)

        assert serving.arrived == 15
        assert set(serving.endings) == {"caller hung up"}
        # sipp takes a repeated 200 to its INVITE for the one to its lost BYE: such a call stays open here.
        assert len(serving.endings) + endpoint.calls == 15
        assert len(serving.endings) >= 8
    finally:
        await endpoint.close()


class LossyLine(asyncio.DatagramProtocol):
    """Stands between us and a phone and loses every fifth datagram, either way.

    sipp's own ``-lost`` never repeats what it chose to lose, so that no caller could get through.
    """

    def __init__(self, phone: tuple[str, int]) -> None:
        self._phone = phone
        self._caller: tuple[str, int] | None = None
        self._seen = 0
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._seen += 1
        if addr != self._phone:
            self._caller = addr
        target = self._phone if addr != self._phone else self._caller
        if self._seen % 5 and target is not None:
            self._transport.sendto(data, target)


async def test_calls_of_ours_over_a_line_that_loses_every_fifth_datagram(peer: str, tmp_path: Path) -> None:
    endpoint = await start(Serving())
    loop = asyncio.get_running_loop()
    port = free_port()
    line, _ = await loop.create_datagram_endpoint(
        lambda: LossyLine(("127.0.0.1", port)), local_addr=("127.0.0.1", 0)
    )
    answering = asyncio.create_task(
        sipp(peer, endpoint.listen[1], tmp_path, "-sn", "uas", "-m", "6", "-p", str(port))
    )
    try:

        async def talk(number: int) -> None:
            ours = Negotiator(ip="127.0.0.1", port=40000 + 2 * number, session_id=number)
            call = await endpoint.call(
                f"sip:service@127.0.0.1:{port}",
                sdp=ours.offer(),
                targets=[line.get_extra_info("sockname")[:2]],
            )
            assert ours.accept(call.remote_sdp).codec == 0
            await call.hangup()

        await asyncio.gather(*(talk(number) for number in range(6)))
        await answering
    finally:
        line.close()
        await endpoint.close()

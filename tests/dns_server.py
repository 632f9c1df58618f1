"""A small DNS server on loopback: answers from a dictionary, and keeps what it was asked."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

__all__ = ["DnsServer", "dns_server", "dns_thread"]


class DnsServer(asyncio.DatagramProtocol):
    """Names that are not in `zone` do not exist; while `is_mute` it says nothing."""

    def __init__(self, zone: dict[tuple[str, str], list[str]]) -> None:
        self.zone = zone
        """Records in the words of a zone file, by name and type: ``("a.example", "A"): ["192.0.2.1"]``."""
        self.ttl_s = 300
        self.is_mute = False
        self.rcode = dns.rcode.NOERROR
        """What it says instead of an answer."""
        self.rcode_of: dict[tuple[str, str], dns.rcode.Rcode] = {}
        """The same for some questions."""
        self.asked: Counter[tuple[str, str]] = Counter()
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    @property
    def address(self) -> tuple[str, int]:
        assert self.transport is not None
        host, port = self.transport.get_extra_info("sockname")
        return host, port

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if (response := self.answer(data)) is not None and self.transport is not None:
            self.transport.sendto(response, addr)

    def answer(self, data: bytes) -> bytes | None:
        """What it says to a question, if anything."""
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked[name, kind] += 1
        if self.is_mute:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        rcode = self.rcode_of.get((name, kind), self.rcode)
        if rcode is not dns.rcode.NOERROR:
            response.set_rcode(rcode)
        elif records := self.zone.get((name, kind)):
            # One set each: the records of one would leave in any order.
            response.answer += [
                dns.rrset.from_text(question.name, self.ttl_s, "IN", kind, record) for record in records
            ]
        elif not any(known == name for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()


@asynccontextmanager
async def dns_server(zone: dict[tuple[str, str], list[str]]) -> AsyncIterator[DnsServer]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: DnsServer(zone), local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()


@contextmanager
def dns_thread(zone: dict[tuple[str, str], list[str]]) -> Iterator[tuple[str, int]]:
    """The same beside programs that a test runs; yields its address."""
    server = DnsServer(zone)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))

        def serve() -> None:
            while question := line.recvfrom(4096):
                data, peer = question
                if not data:
                    return
                if (response := server.answer(data)) is not None:
                    line.sendto(response, peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield line.getsockname()
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
                ending.sendto(b"", line.getsockname())
            thread.join(5)

"""What the network delivered to a peer, taken off the loopback device as it passes."""

import socket
import struct
import threading
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bridge.plane import g711
from bridge.rtp.header import RtpPacket, parse

__all__ = ["RtpTap"]

_ETH_P_IP, _ETH_P_IPV6 = 0x0800, 0x86DD
_IPV6_HEADER_BYTES = 40
_OUTGOING = 4


class RtpTap:
    """Collects the RTP payloads of datagrams to one UDP port, of IPv4 or of IPv6; needs CAP_NET_RAW."""

    def __init__(self, port: int, *, in_ipv6: bool = False) -> None:
        self.port = port
        self._in_ipv6 = in_ipv6
        kind = _ETH_P_IPV6 if in_ipv6 else _ETH_P_IP
        self.packets: list[RtpPacket] = []
        """In order of arrival."""
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(kind))
        self._socket.bind(("lo", kind))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.settimeout(0.2)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tap", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def pcm(self) -> NDArray[np.int16]:
        """Everything spoken, decoded, in order of arrival."""
        decode = {0: g711.decode_ulaw, 8: g711.decode_alaw}
        return np.concatenate(
            [np.zeros(0, np.int16)]
            + [
                decode[packet.payload_type](np.frombuffer(packet.payload, np.uint8))
                for packet in self.packets
                if packet.payload_type in decode
            ]
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                packet, source = self._socket.recvfrom(2048)
            except TimeoutError:
                continue
            if source[2] == _OUTGOING:
                continue  # loopback shows every packet twice: as it leaves and as it arrives
            header_bytes = _IPV6_HEADER_BYTES if self._in_ipv6 else (packet[0] & 0x0F) * 4
            if packet[6 if self._in_ipv6 else 9] != socket.IPPROTO_UDP:
                continue
            _, port, length = struct.unpack_from("!HHH", packet, header_bytes)
            if port != self.port:
                continue
            self.packets.append(parse(packet[header_bytes + 8 : header_bytes + length]))

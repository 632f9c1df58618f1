"""One call's end in the media engine: its port, its row, its rings."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from bridge.engine.budget import weight_of
from bridge.engine.commands import (
    CloseRow,
    Command,
    Datagram,
    EngineDied,
    EngineReplaced,
    FlushRow,
    GiveVerdict,
    HandKey,
    LegEvent,
    OpenRow,
    PressKeys,
    ReleaseKeys,
    RowOpened,
    SetBed,
    SetInterruptible,
    SetSensitivity,
    StopBed,
    UpdateRow,
)
from bridge.engine.dues import Dues
from bridge.engine.hosts6 import told
from bridge.engine.leg_status import LegStatus
from bridge.engine.ports import BoundPorts, host_number, peer_address, peer_key
from bridge.engine.seat import Seat
from bridge.engine.shared_ports import Spot
from bridge.errors import EngineError, LocalProtocolError
from bridge.plane.columns import nowhere
from bridge.plane.events import RowFailed
from bridge.plane.ring import CaptureReader, PlayoutWriter
from bridge.plane.spec import RowSpec
from bridge.ports import IdSource
from bridge.rtp.srtp import CLEAR, SrtpKeys

__all__ = ["Coding", "MediaLeg"]


class Coding(TypedDict, total=False):
    """How sound is coded beyond the codec's name; what each field means says `RowSpec`."""

    ptime_ms: int
    opus_bitrate: int
    opus_fec: bool
    opus_dtx: bool
    opus_max_rate_hz: int
    opus_loss_percent: int
    comfort_payload_type: int
    in_band: bool


class MediaLeg:
    """A reserved port and row, then a carried call; made by `MediaEngine.reserve`.

    `open` once signalling has agreed, `close` in any case.
    """

    def __init__(
        self,
        *,
        seat: Seat,
        row: int,
        generation: int,
        ports: BoundPorts,
        spot: Spot | None = None,
        dice: IdSource,
        on_close: Callable[["MediaLeg"], None],
    ) -> None:
        self._seat: Seat | None = seat
        self._on_close = on_close
        self._deliver: Callable[[LegEvent], None] | None = None
        self._is_over = False
        self._opened = asyncio.Event()
        self.ports: BoundPorts = ports
        self.spot: Spot | None = spot
        """Its place on a port that other calls use too; None = the ports are its own."""
        self.local_port: int = ports.port
        """Even UDP port for the SDP."""
        self.is_ipv6: bool = ports.is_ipv6
        """Its packets go by IPv6, and by that alone; else by IPv4."""
        self.generation: int = generation
        """Never given to another leg while this control process lives."""
        self.srtp: SrtpKeys = CLEAR
        """Keys that the media process was told last; the status holds where their indices stand."""
        self.on_datagram: Callable[[bytes, tuple[str, int]], None] | None = None
        """Gets STUN and DTLS that come to the port of an open leg with `in_band`, and where from."""
        self.ssrc: int = dice.number(32)
        # The lower half only, so that SRTP cannot misjudge its rollover counter early (RFC 3711 §3.3.1).
        self._sequence = dice.number(15)
        self._timestamp = dice.number(32)
        self.cname: str = dice.token(12)  # RFC 7022 §4.2: 96 bits, for this leg only
        self._tickets = 0
        self._bed_place: int | None = None
        self.weight: float = 0.0
        """What it is planned to cost, in G.711 legs."""
        self.row: int
        self.rate_hz: int
        """Audio rate of everything that is written to it and read from it."""
        self.status: LegStatus
        self.writer: PlayoutWriter
        """Takes speech as soon as the media process has opened the row, a moment after `open`."""
        self._sit(seat, row)

    @property
    def is_open(self) -> bool:
        """Between `open` and `close`, unless the media process died and none took over."""
        return self._deliver is not None and self._seat is not None and self._seat.is_alive

    def refit(self, rate_hz: int) -> bool:
        """Take a row of another rate before `open`; false if there is none. Called by `MediaEngine.refit`.

        Raises:
            EngineError: If the media process died since the reservation; the leg is as it was.
            LocalProtocolError: If the leg is open or closed already.
        """
        if self._deliver is not None or self._seat is None:
            raise LocalProtocolError("a media leg keeps its row once it is open")
        if not self._seat.is_alive:
            raise EngineError("the media process died after this leg was reserved")
        free = self._seat.free_rows
        if self.rate_hz != rate_hz:
            if not free.has(rate_hz):
                return False
            before = self.row
            self._sit(self._seat, free.take(rate_hz))
            free.append(before)
        return True

    def can_afford(self, rate_hz: int) -> bool:
        """Whether its process has time for a row of this rate."""
        return self._seat is None or self._seat.budget.fits(weight_of(rate_hz) - self.weight)

    def _weigh(self, seat: Seat, weight: float) -> None:
        seat.budget.take(weight - self.weight)
        self.weight = weight

    def _sit(self, seat: Seat, row: int) -> None:
        columns, at = seat.memory.locate(row)
        self.row, self.rate_hz = row, columns.shape.rate_hz
        self.status = LegStatus(columns, at, self.generation)
        self.writer = PlayoutWriter(columns, at, self.generation)
        self._dues = Dues(row, self.generation)
        self._weigh(seat, weight_of(self.rate_hz))

    def is_carried_by(self, seat: Seat) -> bool:
        """Whether this leg's row is one of that seat."""
        return self._seat is seat

    def capture(self) -> CaptureReader:
        """A reader of both directions' sound; each reader has a position of its own. Empty after `close`."""
        if self._seat is None:
            return CaptureReader(nowhere(), 0, self.generation)
        columns, at = self._seat.memory.locate(self.row)
        return CaptureReader(columns, at, self.generation)

    def open(
        self,
        *,
        codec: int,
        payload_type: int,
        dtmf_payload_type: int,
        remote: tuple[str, int] | None,
        latch_ip: str | None,
        sending: bool,
        receiving: bool,
        interruptible: int,
        rtcp: tuple[str, int] | None = None,
        rtcp_mux: bool = False,
        dtmf_offered: int = -1,
        dtmf_events: int = 0xFFFF,
        sensitivity: int = -1,
        srtp: SrtpKeys = CLEAR,
        deliver: Callable[[LegEvent], None],
        **coding: Unpack[Coding],
    ) -> None:
        """Start to carry the call; events come to `deliver`, on the event loop.

        `rtcp` is where the peer wants RTCP on a port of its own, `rtcp_mux` that it shares the port of RTP.

        Raises:
            EngineError: If the media process died since the reservation, or the system is out of descriptors:
                reserve another leg.
            LocalProtocolError: If the leg is open or closed already.
        """
        if self._deliver is not None or self._seat is None:
            raise LocalProtocolError("a media leg opens once")
        if not self._seat.is_alive:
            raise EngineError("the media process died after this leg was reserved")
        spec = self._spec(
            codec=codec,
            payload_type=payload_type,
            dtmf_payload_type=dtmf_payload_type,
            remote=remote,
            latch_ip=latch_ip,
            sending=sending,
            receiving=receiving,
            interruptible=interruptible,
            rtcp=rtcp,
            rtcp_mux=rtcp_mux,
            dtmf_offered=dtmf_offered,
            dtmf_events=dtmf_events,
            sensitivity=sensitivity,
            **coding,
        )
        self.srtp = srtp
        fds = self._fds()
        order = OpenRow(self.row, len(fds), spec, -1 if self.spot is None else self.spot.number, srtp)
        try:
            self._seat.send(order, fds)
        except OSError as error:
            raise EngineError(f"cannot hand a media port over: {error.strerror}") from error
        self._dues.order(order)
        self._weigh(self._seat, weight_of(self.rate_hz, codec, is_encrypted=bool(srtp.suite)))
        self._deliver = deliver

    async def opened(self) -> None:
        """Wait until the rings accept speech: a fraction of a millisecond after `open`.

        Raises:
            EngineError: If the media process died or refused before.
        """
        await self._opened.wait()
        if not self.status.is_live:
            raise EngineError("the media process could not carry this leg")

    def update(
        self,
        *,
        codec: int,
        payload_type: int,
        dtmf_payload_type: int,
        remote: tuple[str, int] | None,
        latch_ip: str | None,
        sending: bool,
        receiving: bool,
        interruptible: int,
        rtcp: tuple[str, int] | None = None,
        rtcp_mux: bool = False,
        dtmf_offered: int = -1,
        dtmf_events: int = 0xFFFF,
        sensitivity: int = -1,
        srtp: SrtpKeys = CLEAR,
        **coding: Unpack[Coding],
    ) -> None:
        """Follow a re-INVITE: same port, sequence, timestamp and SSRC; does nothing once the leg is over.

        Raises:
            LocalProtocolError: If the leg was never opened.
        """
        spec = self._spec(
            codec=codec,
            payload_type=payload_type,
            dtmf_payload_type=dtmf_payload_type,
            remote=remote,
            latch_ip=latch_ip,
            sending=sending,
            receiving=receiving,
            interruptible=interruptible,
            rtcp=rtcp,
            rtcp_mux=rtcp_mux,
            dtmf_offered=dtmf_offered,
            dtmf_events=dtmf_events,
            sensitivity=sensitivity,
            **coding,
        )
        self.srtp = srtp
        self._tell(UpdateRow(self.row, spec, srtp))

    def set_interruptible(self, bits: int) -> None:
        """Choose what takes the floor from us: 1 speech, 2 digits, 3 any, 0 nothing."""
        self._tell(SetInterruptible(self.row, self.generation, bits))

    def set_sensitivity(self, sensitivity: int) -> None:
        """Choose how easily a voice takes the floor: 0 low, 1 medium, 2 high; -1 as all legs are told."""
        self._tell(SetSensitivity(self.row, self.generation, sensitivity))

    def has_bed(self, name: str) -> bool:
        """Whether `set_bed` needs no samples for a bed of this name; true once the leg is over."""
        return self._seat is None or name in self._seat.shelf

    def set_bed(
        self,
        name: str,
        loop: NDArray[np.int16] | None = None,
        *,
        gain_db: int,
        under_speech_db: int,
        yields: bool = True,
    ) -> None:
        """Play a loop under what is said, in place of any other; see `bridge.plane.bed.Beds.lay`.

        Args:
            name: Of this sound at this leg's rate; legs share what has the same name.
            loop: Its samples (see `bridge.plane.bed.loop_of`); needed unless `has_bed`.
            gain_db: Level while nothing is said, -100 to 20.
            under_speech_db: Level under speech.
            yields: Whether it falls silent when the caller's voice silences us.

        Raises:
            EngineError: If there is no room for another bed.
        """
        if self._seat is None:
            return
        place, samples = self._seat.shelf.take(name, loop)
        self._return_bed(place)
        self._tell(SetBed(self.row, self.generation, place, samples, gain_db, under_speech_db, yields))

    def stop_bed(self) -> None:
        """Let the bed fade out; harmless where there is none."""
        self._return_bed(None)
        self._tell(StopBed(self.row, self.generation))

    def flush(self) -> None:
        """Forget what was not played; a `Flushed` event names the sample reached and the new epoch."""
        self._tell(FlushRow(self.row, self.generation))

    def verdict(self, *, epoch: int, is_speech: bool, question: int = 0) -> None:
        """Decide a duck, or the voice that `question` names; without effect once that is decided."""
        self._tell(GiveVerdict(self.row, self.generation, epoch, is_speech, question))

    def press(self, digits: str, *, duration_ms: int, pause_ms: int) -> int:
        """Press keys, at most 64 waiting at a time; a `KeysSent` with the ticket returned says how many were.

        Args:
            digits: Of ``0123456789*#ABCD``.
            duration_ms: How long each is held.
            pause_ms: After each; 40 at least, for so long the end of an event is repeated.
        """
        self._tickets += 1
        self._tell(PressKeys(self.row, self.generation, self._tickets, duration_ms, pause_ms, digits))
        return self._tickets

    def release_keys(self) -> None:
        """Call off the keys that wait to be pressed; the one that is down comes up."""
        self._tell(ReleaseKeys(self.row, self.generation))

    def hand_key(self, digit: str, *, duration_ms: int) -> None:
        """Take a key of the caller's that signalling was told of; it becomes a `Digit` as any other."""
        self._tell(HandKey(self.row, self.generation, duration_ms, digit))

    def close(self) -> None:
        """Give port and row back; safe twice. No event is delivered afterwards."""
        if self._seat is None:
            return
        self._return_bed(None)
        # Whoever keeps a closed leg must not keep the memory of a dead process mapped with it.
        seat, self._seat = self._seat, None
        was_opened, self._deliver = self._deliver is not None, None
        self.status.freeze()
        self.writer.detach()
        self._opened.set()
        if was_opened:
            seat.send(CloseRow(self.row, self.generation))
        elif seat.is_alive:
            seat.free_rows.append(self.row)  # The media process never heard of this leg.
        self._on_close(self)

    def receive(self, event: LegEvent | RowOpened | Datagram) -> None:
        """Pass an event on to the owner of the call; called by the engine. Nothing follows a failure."""
        if isinstance(event, Datagram):
            if self.on_datagram is not None and self._seat is not None:
                self.on_datagram(event.data, _source_of(event))
            return
        if isinstance(event, RowOpened | RowFailed | EngineDied):
            self._opened.set()
        if isinstance(event, RowOpened) or self._deliver is None or self._is_over:
            return
        self._is_over = isinstance(event, RowFailed | EngineDied)
        if not isinstance(event, EngineDied | EngineReplaced):
            event = self._dues.tell(event)
        self._deliver(event)

    def resume(self, *, now_ns: int) -> list[LegEvent]:
        """Have the seat's new process carry on, and return what is to be delivered then; by the engine."""
        if self._seat is None or self._is_over:
            return []
        columns, at = self._seat.memory.locate(self.row)
        settlement = self._dues.settle(columns, at, now_ns=now_ns)
        if settlement is None:
            return []
        try:
            for order in settlement.orders:
                self._seat.send_only(order, self._fds() if isinstance(order, OpenRow) else ())
        except OSError as error:
            message = f"its sockets cannot be handed over again: {error.strerror}"
            return [RowFailed(self.row, self.generation, now_ns, message=message)]
        return [*settlement.events, EngineReplaced(self.row, self.generation, now_ns)]

    def _fds(self) -> list[int]:
        """What travels with its opening; a shared port was handed over before."""
        return [] if self.spot is not None else [sock.fileno() for sock in self.ports.sockets()]

    def _return_bed(self, following: int | None) -> None:
        if self._bed_place is not None and self._seat is not None:
            self._seat.shelf.give_back(self._bed_place)
        self._bed_place = following

    def _tell(self, command: Command) -> None:
        if self._seat is None:
            return
        if self._deliver is None:
            raise LocalProtocolError("the media leg was not opened")
        self._dues.order(command)
        self._seat.send(command)

    def _spec(
        self,
        *,
        remote: tuple[str, int] | None,
        latch_ip: str | None,
        rtcp: tuple[str, int] | None,
        **negotiated: Any,  # noqa: ANN401
    ) -> RowSpec:
        if self.ports.rtcp is None:
            rtcp = None  # The odd port was taken: then only a shared one carries RTCP.
        self.status.hosts = told(remote and remote[0], latch_ip, rtcp and rtcp[0])
        return RowSpec(
            generation=self.generation,
            ssrc=self.ssrc,
            sequence=self._sequence,
            timestamp=self._timestamp,
            remote_key=0 if remote is None else peer_key(remote),
            latch_ip=0 if latch_ip is None else host_number(latch_ip),
            rtcp_key=0 if rtcp is None else peer_key(rtcp),
            hosts=self.status.hosts,
            cname=self.cname,
            rate_hz=self.rate_hz,
            **negotiated,
        )


def _source_of(datagram: Datagram) -> tuple[str, int]:
    """Where it came from."""
    port = datagram.source_key & 0xFFFF
    if datagram.host:
        return socket.inet_ntop(socket.AF_INET6, datagram.host), port
    return peer_address(datagram.source_key) or ("", port)

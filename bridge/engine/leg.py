"""One call's end in the media engine: its port, its row, its rings."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.engine.child import MediaProcess
from bridge.engine.commands import (
    CloseRow,
    Command,
    EngineDied,
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
from bridge.engine.ports import BoundPorts, peer_address, peer_key
from bridge.errors import EngineError, LocalProtocolError
from bridge.plane.columns import QUALITIES, Columns, nowhere
from bridge.plane.events import RowFailed
from bridge.plane.ring import CaptureReader, PlayoutWriter
from bridge.plane.spec import RowSpec
from bridge.ports import IdSource

__all__ = ["LegStatus", "MediaLeg"]


class LegStatus:
    """What the plane tells about a leg without being asked.

    Zero until the plane has opened the row; the last reading once the leg is over.
    """

    def __init__(self, columns: Columns, row: int, generation: int) -> None:
        self._columns = columns
        self._row = row
        self._generation = generation
        self._last: dict[str, int | float] = {}

    @property
    def is_live(self) -> bool:
        """Whether the plane carries the leg now."""
        return int(self._columns.generation[self._row]) == self._generation

    @property
    def last_rx_ns(self) -> int:
        """When the last believed packet came; 0 = never."""
        return int(self.snapshot().get("last_rx_ns", 0))

    @property
    def played(self) -> int:
        """Absolute index of the next sample to be played."""
        return int(self.snapshot().get("played", 0))

    @property
    def epoch(self) -> int:
        """Present epoch: one higher after each flush."""
        return int(self.snapshot().get("epoch", 0))

    @property
    def remote(self) -> tuple[str, int] | None:
        """Where packets are sent; None while unknown."""
        key = int(self.snapshot().get("remote_key", 0))
        return peer_address(key) if key else None

    def snapshot(self) -> dict[str, int | float]:
        """Counters and state by the names of `bridge.plane.columns.Columns`."""
        if not self.is_live:
            return dict(self._last)
        columns, row = self._columns, self._row
        values: dict[str, int | float] = {**columns.counters(row)}
        for name in (
            "last_rx_ns",
            "played",
            "epoch",
            "remote_key",
            "latched",
            "floor_state",
            "depth_samples",
        ):
            values[name] = int(getattr(columns, name)[row])
        values["lost_out"] = int(columns.lost_out[row])
        for name in ("jitter_ticks", *QUALITIES):
            values[name] = float(getattr(columns, name)[row])
        return values if self.is_live else dict(self._last)

    def freeze(self) -> None:
        """Keep the present reading: the row is about to be given up, and perhaps its memory."""
        self._last = self.snapshot()
        self._columns, self._row = nowhere(), 0


class MediaLeg:
    """A reserved port and row, then a carried call; made by `MediaEngine.reserve`.

    `open` once signalling has agreed, `close` in any case.
    """

    def __init__(
        self,
        *,
        life: MediaProcess,
        row: int,
        generation: int,
        ports: BoundPorts,
        dice: IdSource,
        on_close: Callable[["MediaLeg"], None],
    ) -> None:
        self._life: MediaProcess | None = life
        self._on_close = on_close
        self._deliver: Callable[[LegEvent], None] | None = None
        self._is_over = False
        self._opened = asyncio.Event()
        self.ports: BoundPorts = ports
        self.local_port: int = ports.port
        """Even UDP port for the SDP."""
        self.row: int = row
        self.generation: int = generation
        """Never given to another leg while this control process lives."""
        self.ssrc: int = dice.number(32)
        # The lower half only, so that SRTP cannot misjudge its rollover counter early (RFC 3711 §3.3.1).
        self._sequence = dice.number(15)
        self._timestamp = dice.number(32)
        self._cname = dice.token(12)  # RFC 7022 §4.2: 96 bits, for this leg only
        self._tickets = 0
        self._bed_place: int | None = None
        self.status: LegStatus = LegStatus(life.memory.columns, row, generation)
        self.writer: PlayoutWriter = PlayoutWriter(life.memory.columns, row, generation)
        """Takes speech as soon as the media process has opened the row, a moment after `open`."""

    @property
    def is_open(self) -> bool:
        """Between `open` and `close`, while the media process lives."""
        return self._deliver is not None and self._life is not None and self._life.is_alive

    def is_carried_by(self, life: MediaProcess) -> bool:
        """Whether this leg lives and dies with that process."""
        return self._life is life

    def capture(self) -> CaptureReader:
        """A reader of both directions' sound; each reader has a position of its own. Empty after `close`."""
        if self._life is None:
            return CaptureReader(nowhere(), 0, self.generation)
        return CaptureReader(self._life.memory.columns, self.row, self.generation)

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
        deliver: Callable[[LegEvent], None],
    ) -> None:
        """Start to carry the call; events come to `deliver`, on the event loop.

        `rtcp` is where the peer wants RTCP on a port of its own, `rtcp_mux` that it shares the port of RTP.

        Raises:
            EngineError: If the media process died since the reservation, or the system is out of descriptors:
                reserve another leg.
            LocalProtocolError: If the leg is open or closed already.
        """
        if self._deliver is not None or self._life is None:
            raise LocalProtocolError("a media leg opens once")
        if not self._life.is_alive:
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
        )
        fds = [sock.fileno() for sock in self.ports.sockets()]
        try:
            self._life.send(OpenRow(self.row, len(fds), spec), fds)
        except OSError as error:
            raise EngineError(f"cannot hand a media port over: {error.strerror}") from error
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
        )
        self._tell(UpdateRow(self.row, spec))

    def set_interruptible(self, bits: int) -> None:
        """Choose what takes the floor from us: 1 speech, 2 digits, 3 any, 0 nothing."""
        self._tell(SetInterruptible(self.row, self.generation, bits))

    def set_sensitivity(self, sensitivity: int) -> None:
        """Choose how easily a voice takes the floor: 0 low, 1 medium, 2 high; -1 as all legs are told."""
        self._tell(SetSensitivity(self.row, self.generation, sensitivity))

    def has_bed(self, name: str) -> bool:
        """Whether `set_bed` needs no samples for a bed of this name; true once the leg is over."""
        return self._life is None or name in self._life.shelf

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
        if self._life is None:
            return
        place, samples = self._life.shelf.take(name, loop)
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
        if self._life is None:
            return
        self._return_bed(None)
        # Whoever keeps a closed leg must not keep the memory of a dead process mapped with it.
        life, self._life = self._life, None
        was_opened, self._deliver = self._deliver is not None, None
        self.status.freeze()
        self.writer.detach()
        self._opened.set()
        if was_opened:
            life.send(CloseRow(self.row, self.generation))
        elif life.is_alive:
            life.free_rows.append(self.row)  # The media process never heard of this leg.
        self._on_close(self)

    def receive(self, event: LegEvent | RowOpened) -> None:
        """Pass an event on to the owner of the call; called by the engine. Nothing follows a failure."""
        if isinstance(event, RowOpened | RowFailed | EngineDied):
            self._opened.set()
        if isinstance(event, RowOpened) or self._deliver is None or self._is_over:
            return
        self._is_over = isinstance(event, RowFailed | EngineDied)
        self._deliver(event)

    def _return_bed(self, following: int | None) -> None:
        if self._bed_place is not None and self._life is not None:
            self._life.shelf.give_back(self._bed_place)
        self._bed_place = following

    def _tell(self, command: Command) -> None:
        if self._life is None:
            return
        if self._deliver is None:
            raise LocalProtocolError("the media leg was not opened")
        self._life.send(command)

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
        return RowSpec(
            generation=self.generation,
            ssrc=self.ssrc,
            sequence=self._sequence,
            timestamp=self._timestamp,
            remote_key=0 if remote is None else peer_key(remote),
            latch_ip=0 if latch_ip is None else peer_key((latch_ip, 0)) >> 16,
            rtcp_key=0 if rtcp is None else peer_key(rtcp),
            cname=self._cname,
            **negotiated,
        )

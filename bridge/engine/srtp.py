"""Encrypts what rows send and decrypts what they receive, in place (SRTP and SRTCP: RFC 3711, 7714).

libsrtp does the cryptography. The binding's functions get pointers into the packet buffers of the tick, so no
packet is copied; a row without keys never gets here.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import cffi
import numpy as np
import pylibsrtp
from numpy.typing import NDArray
from pylibsrtp import _binding

from bridge.errors import EngineError
from bridge.plane.columns import Columns
from bridge.plane.packets import TRAILER_BYTES, Arrivals, Departures
from bridge.rtp.srtp import SrtpKeys, guess_index

__all__ = ["WINDOW_PACKETS", "SrtpRows"]

WINDOW_PACKETS = 128
"""How far behind the newest a packet may be; more than the jitter ring could use."""

_ffi, _lib = _binding.ffi, _binding.lib
_PROTECT = (_lib.srtp_protect, _lib.srtp_protect_rtcp)
_UNPROTECT = (_lib.srtp_unprotect, _lib.srtp_unprotect_rtcp)
_PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
_REPLAYED = frozenset({9, 10})
"""srtp_err_status_replay_fail, srtp_err_status_replay_old."""
_FIRST_RTCP, _RTCP_TYPES = np.uint8(192), 32
"""Second bytes 192 to 223 are RTCP on a shared port (RFC 5761 §4)."""
_TURN, _HALF_TURN = 1 << 16, 1 << 15
_ONE = np.uint64(1)


@cache
def _set_rollover() -> Callable[[int, int, int], int]:
    """The one function that the binding keeps to itself; the library behind it has it.

    Its arguments are session, SSRC and counter. Raises EngineError if a build hides it.
    """
    ffi = cffi.FFI()
    ffi.cdef("int srtp_set_stream_roc(uintptr_t session, uint32_t ssrc, uint32_t roc);")
    library = ffi.dlopen(_binding.__file__)
    if not hasattr(library, "srtp_set_stream_roc"):
        raise EngineError("this build of pylibsrtp cannot set a rollover counter: use the pinned one")
    function: Callable[[int, int, int], int] = library.srtp_set_stream_roc
    return function


class _Direction:
    """One libsrtp session."""

    def __init__(self, suite: str, secret: str, *, ssrc: int, inbound: bool) -> None:
        profile = _PROFILES[suite]
        anyone = pylibsrtp.Policy.SSRC_ANY_INBOUND if inbound else pylibsrtp.Policy.SSRC_UNDEFINED
        wanted = [(anyone, 0)] if inbound else []
        if ssrc >= 0:
            wanted.append((pylibsrtp.Policy.SSRC_SPECIFIC, ssrc))
        self._session = pylibsrtp.Session()
        for kind, value in wanted:
            policy = pylibsrtp.Policy(bytes.fromhex(secret), kind, value, profile)
            policy.window_size = WINDOW_PACKETS
            self._session.add_stream(policy)
        self.handle: Any = self._session._srtp[0]
        """What libsrtp calls it; valid as long as this object."""

    def set_rollover(self, ssrc: int, rollover: int) -> None:
        """Say where the counter of a stream named at the beginning stands; 0 leaves it to its packets."""
        _set_rollover()(int(_ffi.cast("uintptr_t", self.handle)), ssrc, rollover)


class _Resumption:
    """A peer's stream that another session had received before: its rollover counter is not zero."""

    def __init__(self, ssrc: int, index: int, *, is_rekeyed: bool) -> None:
        self.ssrc = ssrc
        self.index = index
        self.is_rekeyed = is_rekeyed
        self.rollover = 0
        self._tries = 0

    def aim(self, sequence: int) -> bool:
        """Decide the rollover counter for a packet; false if its index was used up under this key."""
        index = guess_index(self.index, sequence)
        # RFC 3711 §3.3.1 keeps the counter when the key changes, RFC 4568 §7.1.4 has cases that do not, and
        # peers differ: where packets fail under the one, the next is tried under the other.
        self.rollover = 0 if self.is_rekeyed and self._tries % 2 else index >> 16
        self._tries += 1
        return self.is_rekeyed or index > self.index


class SrtpRows:
    """The keys of all rows; those without are in the clear and cost nothing.

    Args:
        banks: Where counters and packet indices are told; rows are numbered through.

    Raises:
        EngineError: If libsrtp's functions cannot be reached.
    """

    def __init__(self, banks: Sequence[Columns]) -> None:
        firsts = np.cumsum([0, *(bank.capacity for bank in banks)]).tolist()
        n = firsts[-1]
        self._banks = tuple(zip(firsts, banks, strict=False))
        _set_rollover()
        self._keys: dict[int, SrtpKeys] = {}
        self._tx: dict[int, _Direction] = {}
        self._rx: dict[int, _Direction] = {}
        self._resuming: dict[int, _Resumption] = {}
        self._unburnt: dict[int, int] = {}
        """SRTCP indices that were used before, of rows whose session does not know it yet."""
        self._secured = np.zeros(n, np.bool_)
        # Indices as the columns tell them, and which stream the second one counts.
        self._tx_end = np.zeros(n, np.int64)
        self._rx_end = np.zeros(n, np.int64)
        self._rx_ssrc = np.full(n, -1, np.int64)
        self._srtcp_sent = np.zeros(n, np.int64)

    def __len__(self) -> int:
        return len(self._keys)

    def open(self, row: int, keys: SrtpKeys, *, ssrc: int, sequence: int = 0) -> None:
        """Encrypt a row that begins; without a suite it is in the clear.

        Args:
            row: Which one; what it had before is forgotten.
            keys: The peer's and ours.
            ssrc: Of what we send.
            sequence: Of the first packet, where its rollover counter is not zero.
        """
        self.close(row)
        if not keys.suite:
            return
        self._begin_tx(row, keys, ssrc, keys.tx_rollover)
        self._srtcp_sent[row] = keys.rtcp_sent
        if keys.rtcp_sent:
            self._unburnt[row] = keys.rtcp_sent
        self._begin_rx(row, keys, keys.rx_ssrc, keys.rx_end, is_rekeyed=False)
        self._tx_end[row] = keys.tx_rollover << 16 | sequence
        self._secure(row, keys)

    def update(self, row: int, keys: SrtpKeys, *, ssrc: int) -> None:
        """Take new keys, or none; a direction whose key stays goes on as if nothing had been said."""
        before = self._keys.get(row)
        if before is None or not keys.suite:
            self.open(row, keys, ssrc=ssrc)
            return
        has_new_suite = keys.suite != before.suite
        if has_new_suite or keys.tx != before.tx:
            self._begin_tx(row, keys, ssrc, int(self._tx_end[row]) >> 16)
            self._srtcp_sent[row] = 0
            self._unburnt.pop(row, None)
        if has_new_suite or keys.rx != before.rx:
            end, stream = int(self._rx_end[row]), int(self._rx_ssrc[row])
            self._begin_rx(row, keys, stream, end, is_rekeyed=True)
        self._secure(row, keys)

    def close(self, row: int) -> None:
        """Forget the keys of a row; harmless when it has none."""
        if self._keys.pop(row, None) is None:
            return
        self._secured[row] = False
        self._resuming.pop(row, None)
        self._unburnt.pop(row, None)
        del self._tx[row], self._rx[row]
        self._tx_end[row] = self._rx_end[row] = self._srtcp_sent[row] = 0
        self._rx_ssrc[row] = -1

    def resume(self, row: int, keys: SrtpKeys, *, ssrc: int, sequence: int) -> None:
        """Carry on a row of a process that died, from the indices that it told; as `open` otherwise.

        Raises:
            LocalProtocolError: If the sequence number was sent before.
        """
        if keys.suite:
            columns, at = self._locate(row)
            keys = keys.resumed(
                tx_end=int(columns.srtp_tx_end[at]),
                sequence=sequence,
                rx_end=int(columns.srtp_rx_end[at]),
                rx_ssrc=int(columns.srtp_rx_ssrc[at]),
                rtcp_sent=int(columns.srtcp_sent[at]),
            )
        self.open(row, keys, ssrc=ssrc, sequence=sequence)

    def publish(self, row: int) -> None:
        """Write where the row's indices stand: the plane clears its columns when it opens a row."""
        if row not in self._keys:
            return
        columns, at = self._locate(row)
        columns.srtp_tx_end[at], columns.srtp_rx_end[at] = self._tx_end[row], self._rx_end[row]
        columns.srtp_rx_ssrc[at] = max(0, int(self._rx_ssrc[row]))
        columns.srtcp_sent[at] = self._srtcp_sent[row]

    def rollover(self, row: int) -> tuple[int, int]:
        """Rollover counters of the next packet that we send, and of the newest one received."""
        return int(self._tx_end[row]) >> 16, max(0, int(self._rx_end[row]) - 1) >> 16

    def protect(self, departures: Departures) -> Departures:
        """Encrypt the packets of rows with keys, in place; what cannot be encrypted is left out."""
        if not self._keys:
            return departures
        names = departures.rows
        rows = np.where(names < 0, ~names, names)
        secured = np.flatnonzero(self._secured[rows])
        if not len(secured):
            return departures
        packets, lengths = departures.packets, departures.lengths
        is_rtcp = (names[secured] < 0) | (packets[secured, 1] - _FIRST_RTCP < _RTCP_TYPES)
        if self._unburnt:
            for position in secured[is_rtcp].tolist():
                self._burn(int(rows[position]), packets[position, 4:8].tobytes())
        # Told before it leaves: whoever carries the row on must not use an index twice.
        self._note_sent(rows[secured], packets[secured[:, None], [2, 3]], is_rtcp)
        at, stride, length_at = _pointers(packets, lengths)
        fits = (lengths[secured] <= packets.shape[1] - TRAILER_BYTES).tolist()
        failed = [
            position
            for position, row, kind, has_room in zip(
                secured.tolist(), rows[secured].tolist(), is_rtcp.tolist(), fits, strict=True
            )
            if not has_room
            or _PROTECT[kind](self._tx[row].handle, at + position * stride, length_at + position)
        ]
        return self._without(departures, rows, failed) if failed else departures

    def unprotect(self, arrivals: Arrivals) -> None:
        """Decrypt the packets of rows with keys, in place; what is not theirs or came before is taken out."""
        if not self._keys:
            return
        secured = np.flatnonzero(self._secured[arrivals.rows[: arrivals.count]])
        if not len(secured):
            return
        rows = arrivals.rows[secured]
        is_rtcp = arrivals.is_rtcp[secured] | (arrivals.packets[secured, 1] - _FIRST_RTCP < _RTCP_TYPES)
        at, stride, length_at = _pointers(arrivals.packets, arrivals.lengths)
        resuming, is_good = self._resuming, np.ones(len(secured), np.bool_)
        for order, (position, row, kind) in enumerate(
            zip(secured.tolist(), rows.tolist(), is_rtcp.tolist(), strict=True)
        ):
            if resuming and not kind and row in resuming:
                status = self._resume(row, arrivals, position)
            else:
                status = _UNPROTECT[kind](self._rx[row].handle, at + position * stride, length_at + position)
            if status:
                is_good[order] = False
                columns, at_row = self._locate(row)
                counter = columns.rx_srtp_replay if status in _REPLAYED else columns.rx_srtp_auth
                counter[at_row] += _ONE
        heard = secured[is_good & ~is_rtcp]
        if len(heard):
            headers = arrivals.headers[heard]
            self._note_received(arrivals.rows[heard], headers["ssrc"], headers["sequence"])
        if not is_good.all():
            arrivals.remove(secured[~is_good])

    def _locate(self, row: int) -> tuple[Columns, int]:
        """The bank of a row, and its number there."""
        first, columns = next(pair for pair in reversed(self._banks) if pair[0] <= row)
        return columns, row - first

    def _tell(self, name: str, rows: NDArray[np.intp], values: NDArray[np.int64]) -> None:
        """Write what these rows' `values` are into the column of that name."""
        narrow = self._banks[0][1]
        if int(rows.max(initial=0)) < narrow.capacity:
            getattr(narrow, name)[rows] = values[rows]
            return
        for first, columns in self._banks:
            mine = rows[(rows >= first) & (rows < first + columns.capacity)]
            if mine.size:
                getattr(columns, name)[mine - first] = values[mine]

    def _secure(self, row: int, keys: SrtpKeys) -> None:
        self._keys[row] = keys
        self._secured[row] = True
        self.publish(row)

    def _begin_tx(self, row: int, keys: SrtpKeys, ssrc: int, rollover: int) -> None:
        self._tx[row] = _Direction(keys.suite, keys.tx, ssrc=ssrc, inbound=False)
        self._tx[row].set_rollover(ssrc, rollover)

    def _begin_rx(self, row: int, keys: SrtpKeys, ssrc: int, end: int, *, is_rekeyed: bool) -> None:
        self._resuming.pop(row, None)
        self._rx[row] = _Direction(keys.suite, keys.rx, ssrc=ssrc if end else -1, inbound=True)
        if end:
            self._resuming[row] = _Resumption(ssrc, end - 1, is_rekeyed=is_rekeyed)
            self._rx_end[row], self._rx_ssrc[row] = end, ssrc

    def _burn(self, row: int, ssrc: bytes) -> None:
        """Use up the SRTCP indices of packets sent before; libsrtp has no way to set the counter.

        It takes 2 ms for an hour of reports, so it waits for the first report: those of many rows come apart.
        """
        packet, length = _ffi.new("char[]", 8 + TRAILER_BYTES), _ffi.new("int *")
        for _ in range(self._unburnt.pop(row, 0)):
            packet[0:8] = b"\x80\xc9\x00\x01" + ssrc
            length[0] = 8
            _lib.srtp_protect_rtcp(self._tx[row].handle, packet, length)

    def _resume(self, row: int, arrivals: Arrivals, position: int) -> int:
        """Decrypt a packet of a stream that began elsewhere; the first success settles its counter."""
        header, length = arrivals.headers[position], int(arrivals.lengths[position])
        ssrc, sequence = int(header["ssrc"]), int(header["sequence"])
        resumption, session = self._resuming[row], self._rx[row]
        is_same = ssrc == resumption.ssrc and length >= arrivals.headers.itemsize
        if is_same:
            if not resumption.aim(sequence):
                return min(_REPLAYED)
            session.set_rollover(ssrc, resumption.rollover)
        at, stride, length_at = _pointers(arrivals.packets, arrivals.lengths)
        status = int(_lib.srtp_unprotect(session.handle, at + position * stride, length_at + position))
        if is_same and status == 0:
            del self._resuming[row]
            self._rx_end[row] = (resumption.rollover << 16 | sequence) + 1
        return status

    def _note_sent(
        self, rows: NDArray[np.intp], sequences: NDArray[np.uint8], is_rtcp: NDArray[np.bool_]
    ) -> None:
        if (reporting := rows[is_rtcp]).size:
            np.add.at(self._srtcp_sent, reporting, 1)
            self._tell("srtcp_sent", reporting, self._srtcp_sent)
        rtp = rows[~is_rtcp]
        pairs = sequences[~is_rtcp].astype(np.int64)
        numbers = pairs[:, 0] << 8 | pairs[:, 1]
        np.maximum.at(self._tx_end, rtp, _guess(self._tx_end[rtp] - 1, numbers) + 1)
        self._tell("srtp_tx_end", rtp, self._tx_end)

    def _note_received(
        self, rows: NDArray[np.intp], ssrcs: NDArray[np.uint32], sequences: NDArray[np.uint16]
    ) -> None:
        if (self._rx_ssrc[rows] != ssrcs).any():
            # A stream begins: packets of two may be mixed, so they are taken one by one.
            for row, ssrc, sequence in zip(rows.tolist(), ssrcs.tolist(), sequences.tolist(), strict=True):
                if self._rx_ssrc[row] != ssrc:
                    self._rx_ssrc[row], self._rx_end[row] = ssrc, 0
                index = guess_index(int(self._rx_end[row]) - 1, sequence)
                self._rx_end[row] = max(int(self._rx_end[row]), index + 1)
            self._tell("srtp_rx_ssrc", rows, self._rx_ssrc)
        else:
            np.maximum.at(self._rx_end, rows, _guess(self._rx_end[rows] - 1, sequences.astype(np.int64)) + 1)
        self._tell("srtp_rx_end", rows, self._rx_end)

    def _without(self, departures: Departures, rows: NDArray[np.intp], failed: list[int]) -> Departures:
        """The same without packets that nobody may read in the clear."""
        for row in rows[failed].tolist():
            columns, at = self._locate(row)
            columns.tx_srtp_failed[at] += _ONE
        keep = np.delete(np.arange(len(departures)), failed)
        return Departures(
            departures.packets[keep],
            departures.lengths[keep],
            departures.rows[keep],
            departures.destinations[keep],
        )


def _pointers(packets: NDArray[np.uint8], lengths: NDArray[np.int32]) -> tuple[Any, int, Any]:
    """Where the first packet begins, how far it is to the next one, and where the lengths lie."""
    return (
        _ffi.cast("char *", packets.ctypes.data),
        packets.strides[0],
        _ffi.cast("int *", lengths.ctypes.data),
    )


def _guess(highest: NDArray[np.int64], sequences: NDArray[np.int64]) -> NDArray[np.int64]:
    """`guess_index` for many."""
    guess = highest - highest % _TURN + sequences
    guess += _TURN * (highest - guess > _HALF_TURN) - _TURN * (guess - highest > _HALF_TURN)
    return np.where(highest <= _HALF_TURN, sequences, guess)

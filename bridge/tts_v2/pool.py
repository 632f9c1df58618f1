"""`SpeechSynthesizerObjectPool`: synthesizers whose connection is open already."""

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from bridge.tts_v2.backbone import backbone
from bridge.tts_v2.callback import ResultCallback
from bridge.tts_v2.endpoint import Endpoint, find_endpoint
from bridge.tts_v2.errors import InvalidParameter, InvalidParameterType
from bridge.tts_v2.formats import AudioFormat, HotFix
from bridge.tts_v2.stock import Stock
from bridge.tts_v2.synthesizer import SpeechSynthesizer

__all__ = ["SpeechSynthesizerObjectPool"]

_log = logging.getLogger("bridge.tts_v2")


class SpeechSynthesizerObjectPool:
    """The one pool of this process. Making it again changes its settings; with equal ones it changes nothing.

    Args:
        max_size: Connections kept open or lent, 1 to 100. They are opened side by side before this returns.
        url: Of the service.
        headers: For the handshakes.
        workspace: Id of the workspace.

    Raises:
        InvalidParameter: If `max_size` is out of its range.
        StartFailed, TimeoutError: If the service cannot be reached.
    """

    _instance: ClassVar["SpeechSynthesizerObjectPool | None"] = None
    _making: ClassVar[threading.RLock] = threading.RLock()
    _stock: Stock | None = None
    _given: tuple[str | None, Mapping[str, str] | None, str | None] = (None, None, None)

    def __new__(cls, *arguments: object, **named: object) -> Self:
        del arguments, named  # for __init__ alone
        with SpeechSynthesizerObjectPool._making:
            if not isinstance(SpeechSynthesizerObjectPool._instance, cls):
                SpeechSynthesizerObjectPool._instance = super().__new__(cls)
            return SpeechSynthesizerObjectPool._instance

    def __init__(
        self,
        max_size: int = 20,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        workspace: str | None = None,
    ) -> None:
        if isinstance(max_size, bool) or not isinstance(max_size, int):
            raise InvalidParameterType(f"max_size must be an integer from 1 to 100, not {max_size!r:.60}")
        if max_size <= 0:
            raise InvalidParameter("max_size must be greater than 0")
        if max_size > 100:
            raise InvalidParameter("max_size must be less than 100")
        endpoint = find_endpoint(url, headers, workspace)
        with self._making:
            if not self._has(max_size, endpoint):
                spine = backbone()
                stock = spine.run(Stock.open(max_size, endpoint, spine))
                self.shutdown()
                self._stock = stock
            self._given = (url, headers, workspace)

    def borrow_synthesizer(  # noqa: PLR0917  the SDK's order
        self,
        model: str,
        voice: str,
        format: AudioFormat = AudioFormat.DEFAULT,
        volume: int = 50,
        speech_rate: float = 1.0,
        pitch_rate: float = 1.0,
        seed: int = 0,
        synthesis_type: int = 0,
        instruction: str | None = None,
        language_hints: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
        callback: ResultCallback | None = None,
        workspace: str | None = None,
        url: str | None = None,
        additional_params: Mapping[str, Any] | None = None,
        hot_fix: HotFix | Mapping[str, Any] | None = None,
    ) -> SpeechSynthesizer:
        """Get a synthesizer for one task; its arguments are those of `SpeechSynthesizer`.

        Never waits: when the pool is empty, or when `headers`, `workspace` or `url` lead elsewhere than the
        pool's, the synthesizer connects by itself when it starts and closes when it ends.
        """
        own_url, own_headers, own_workspace = self._given
        synthesizer = SpeechSynthesizer(
            model,
            voice,
            format,
            volume,
            speech_rate,
            pitch_rate,
            seed,
            synthesis_type,
            instruction,
            language_hints,
            own_headers if headers is None else headers,
            callback,
            own_workspace if workspace is None else workspace,
            own_url if url is None else url,
            hot_fix,
            additional_params,
        )
        stock = self._stock
        if stock is None or not stock.is_open or not stock.lend(synthesizer.session):
            _log.warning("the pool has no connection to lend; this synthesizer connects by itself")
        return synthesizer

    def return_synthesizer(self, synthesizer: SpeechSynthesizer) -> bool | None:
        """Give a synthesizer back; only a connection whose task has finished is used again.

        Need not be called: what is dropped or has failed is replaced.

        Returns:
            None when it is taken; False when it is none, or was not lent by this pool or is back already.
        """
        if not isinstance(synthesizer, SpeechSynthesizer):
            _log.error("not a SpeechSynthesizer: %r", type(synthesizer))
            return False
        stock = self._stock
        return None if stock is not None and stock.take_back(synthesizer.session) else False

    def shutdown(self) -> None:
        """Close the connections, at once; what still speaks closes when it has spoken."""
        stock, self._stock = self._stock, None
        if stock is not None and stock.is_open:
            backbone().loop.call_soon_threadsafe(stock.close)

    def _has(self, size: int, endpoint: Endpoint) -> bool:
        stock = self._stock
        return stock is not None and stock.is_open and (stock.size, stock.endpoint) == (size, endpoint)

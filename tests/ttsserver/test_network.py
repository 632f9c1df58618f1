from pathlib import Path

import hibari
import numpy as np
import onnxruntime
import pytest

from bridge.ttsserver.network import extracted

MODEL = (Path(hibari.__file__).parent / "assets" / "hibari.onnx").read_bytes()
IDS = np.asarray([[0, 50, 83, 54, 156, 31, 4, 0]], np.int64)
SPEED = np.ones(1, np.float32)


def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def test_two_halves_in_turn_give_what_the_whole_gives() -> None:
    seam = "/Concat_43_output_0"
    first = session(extracted(MODEL, (), [seam]))
    second = session(extracted(MODEL, [seam], ["lh", "phi"]))

    (between,) = first.run(None, {"ids": IDS, "speed": SPEED})
    lh, phi = second.run(None, {seam: between})

    whole = session(MODEL).run(["lh", "phi"], {"ids": IDS, "speed": SPEED})
    # The runtime orders the sums of two halves in another way, and 8-bit numbers round up what differs.
    assert np.abs(lh - whole[0]).mean() < 0.02 * whole[0].std()
    assert np.abs(phi - whole[1]).mean() < 0.1 * whole[1].std()


def test_a_half_carries_only_its_own_weights() -> None:
    half = extracted(MODEL, ["/Concat_43_output_0"], ["lh"])

    assert 100_000 < len(half) < 0.8 * len(MODEL)


def test_a_tensor_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="no tensor nowhere"):
        extracted(MODEL, (), ["nowhere"])

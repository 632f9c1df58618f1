from dataclasses import replace

import pytest

from bridge.plane.spec import RowSpec
from tests.plane.rig import spec


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"generation": 0}, "generation must be in"),
        ({"generation": 1 << 32}, "generation must be in"),
        ({"codec": 7}, "codec must be 0 to 6, not 7"),
        ({"codec": 2}, r"G722 has a rate of \(16000,\) Hz, not 8000"),
        ({"rate_hz": 16000}, r"PCMU has a rate of \(8000,\) Hz, not 16000"),
        ({"ptime_ms": 25}, r"ptime_ms must be one of \(10, 20, 30, 40, 60\), not 25"),
        ({"codec": 6, "ptime_ms": 40}, r"ptime_ms must be one of \(20,\), not 40"),
        ({"codec": 5, "rate_hz": 48000}, r"ptime_ms must be one of \(10,\), not 20"),
        ({"opus_bitrate": 5000}, "opus_bitrate must be 6000 to 510000, not 5000"),
        ({"opus_max_rate_hz": 4000}, "opus_max_rate_hz must be 8000 to 48000, not 4000"),
        ({"opus_loss_percent": 101}, "opus_loss_percent must be 0 to 100, not 101"),
        ({"payload_type": 128}, "do not fit 7 bits"),
        ({"dtmf_payload_type": -2}, "do not fit 7 bits"),
        ({"comfort_payload_type": 128}, "comfort_payload_type 128 does not fit 7 bits"),
        ({"comfort_payload_type": 13, "codec": 2, "rate_hz": 16000}, "beside G.711, not G722"),
        ({"ssrc": 1 << 32}, "does not fit its header field"),
        ({"sequence": 1 << 16}, "does not fit its header field"),
        ({"timestamp": -1}, "does not fit its header field"),
        ({"remote_key": 1 << 63}, "no address"),
        ({"latch_ip": -1}, "no address"),
        ({"rtcp_key": 1 << 63}, "rtcp_key is no address"),
        ({"cname": "ü" * 128}, "a canonical name of 256 bytes"),
        ({"sensitivity": 3}, "sensitivity must be -1 to 2, not 3"),
        ({"gain_db": 21}, "gain_db must be -60 to 20, not 21"),
    ],
)
def test_a_leg_that_cannot_be_is_refused(change: dict[str, int | str], complaint: str) -> None:
    leg: RowSpec = spec()

    with pytest.raises(ValueError, match=complaint):
        replace(leg, **change)  # type: ignore[arg-type]

from dataclasses import replace

import pytest

from bridge.plane.spec import RowSpec
from tests.plane.rig import spec


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"generation": 0}, "generation must be in"),
        ({"generation": 1 << 32}, "generation must be in"),
        ({"codec": 2}, "codec must be 0"),
        ({"payload_type": 128}, "do not fit 7 bits"),
        ({"dtmf_payload_type": -2}, "do not fit 7 bits"),
        ({"ssrc": 1 << 32}, "does not fit its header field"),
        ({"sequence": 1 << 16}, "does not fit its header field"),
        ({"timestamp": -1}, "does not fit its header field"),
        ({"remote_key": 1 << 48}, "no IPv4 address"),
        ({"latch_ip": -1}, "no IPv4 address"),
        ({"rtcp_key": 1 << 48}, "rtcp_key is no IPv4 address"),
        ({"cname": "ü" * 128}, "a canonical name of 256 bytes"),
        ({"sensitivity": 3}, "sensitivity must be -1 to 2, not 3"),
        ({"gain_db": 21}, "gain_db must be -60 to 20, not 21"),
    ],
)
def test_a_leg_that_cannot_be_is_refused(change: dict[str, int | str], complaint: str) -> None:
    leg: RowSpec = spec()

    with pytest.raises(ValueError, match=complaint):
        replace(leg, **change)  # type: ignore[arg-type]

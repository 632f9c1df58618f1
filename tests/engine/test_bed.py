"""A bed over loopback: written by this process, played by the media process, heard by a phone."""

from dataclasses import replace

import numpy as np
import pytest

from bridge.clock import SystemClock
from bridge.engine.supervisor import MediaEngine
from bridge.plane.g711 import encode_ulaw
from tests.engine.phone import Call, Phone, is_silent, speech
from tests.engine.test_supervisor import SETTINGS
from tests.fakes import SeededIds

pytestmark = pytest.mark.e2e


async def test_phones_hear_a_bed_that_was_stored_once() -> None:
    settings = replace(SETTINGS, ports=(40_320, 40_339))
    engine = await MediaEngine.start(settings, clock=SystemClock(), dice=SeededIds())
    phones = [Phone(), Phone()]
    calls = [Call(engine, phone) for phone in phones]
    loop = speech(1600)
    for call in calls:
        await call.leg.opened()
        has_it = call.leg.has_bed("rain")
        assert has_it is (call is calls[1])
        call.leg.set_bed("rain", None if has_it else loop, gain_db=0, under_speech_db=-12)

    wanted = encode_ulaw(np.tile(loop, 3)).tobytes()
    for call in calls:
        await call.phone.hear_until(lambda packet: not is_silent(packet))
        # It comes in over four packets, the first of which has been heard.
        heard = b"".join(packet[12:] for packet in (await call.phone.hear(19))[3:])
        assert heard == wanted[640 : 640 + len(heard)]
        snapshot = call.leg.status.snapshot()
        assert snapshot["bed_packets"] >= 20
        assert snapshot["silence_idle"] >= 20
        assert snapshot["played"] == 0

    calls[0].leg.stop_bed()
    await calls[0].phone.hear_until(is_silent)
    assert not is_silent((await calls[1].phone.hear(1))[0])
    await engine.close()
    for phone in phones:
        phone.sock.close()

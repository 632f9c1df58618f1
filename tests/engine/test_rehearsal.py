import dataclasses

from bridge.engine.rehearsal import rehearse
from bridge.plane.spec import PlaneSettings, judged


def test_every_setting_can_be_rehearsed() -> None:
    for settings in (
        PlaneSettings(),
        judged(PlaneSettings()),
        dataclasses.replace(PlaneSettings(), inband_digits="always"),
    ):
        rehearse(settings)

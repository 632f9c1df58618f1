"""A call in a few figures."""

from bridge.call.figures import StageFigure, quality_of, silence_of, told_stages


def test_what_is_not_known_is_not_zero() -> None:
    assert set(quality_of({}).values()) == {None}
    assert set(quality_of({"loss_in": 0.0, "jitter_ticks": 3.0, "mos_in": 0.0}).values()) == {None}


def test_quality_has_units_of_people() -> None:
    told = quality_of(
        {
            "mos_in": 4.312, "mos_in_lowest": 4.2, "jitter_ticks": 12.0, "loss_in": 0.01234,
            "mos_out": 4.4, "mos_out_lowest": 4.4, "jitter_out_ticks": 8.0, "loss_out": 0.0,
            "round_trip_ms": 12.34,
        }
    )  # fmt: skip

    assert told == {
        "mos_in": 4.31, "mos_out": 4.4, "mos_in_lowest": 4.2, "mos_out_lowest": 4.4, "jitter_in_ms": 1.5,
        "jitter_out_ms": 1.0, "loss_in": 0.0123, "loss_out": 0.0, "round_trip_ms": 12.3,
    }  # fmt: skip


def test_silence_is_told_in_ms_by_cause() -> None:
    told = silence_of({"silence_idle": 50, "silence_tts_late": 1, "rx_packets": 9})

    assert told["idle"] == 1000
    assert told["tts_late"] == 20
    assert told["keys"] == 0


def test_a_stage_remembers_its_worst() -> None:
    figure = StageFigure()
    figure.take(90.04, is_over=True)
    figure.take(40.0, is_over=False)

    assert told_stages({"mute": figure}) == {
        "mute": {"count": 2, "last_ms": 40.0, "worst_ms": 90.0, "over": 1}
    }

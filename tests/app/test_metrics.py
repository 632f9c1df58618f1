import math

from bridge.app.metrics import STAGES, Metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_a_call_is_active_until_it_ends_and_then_counts_by_its_reason() -> None:
    metrics = Metrics()

    metrics.call_started()
    metrics.call_started("out")
    metrics.call_ended("caller hung up", duration_s=12)

    assert value(metrics, "cosybridge_calls_active") == 1
    assert value(metrics, "cosybridge_calls_started_total", direction="out") == 1
    assert value(metrics, "cosybridge_calls_ended_total", reason="caller hung up") == 1
    assert value(metrics, "cosybridge_call_duration_seconds_sum") == 12


def test_reasons_without_end_do_not_make_series_without_end() -> None:
    metrics = Metrics()

    for number in range(100):
        metrics.call_started()
        metrics.call_ended(f"reason {number}")
    metrics.call_started()
    metrics.call_ended("reason 0")

    assert value(metrics, "cosybridge_calls_ended_total", reason="reason 0") == 2
    assert value(metrics, "cosybridge_calls_ended_total", reason="other") == 60


def test_stages_are_there_before_anybody_interrupts() -> None:
    metrics = Metrics()

    assert [value(metrics, "cosybridge_bargein_stage_seconds_count", stage=stage) for stage in STAGES] == [
        0
    ] * 6


def test_the_budgets_name_of_the_cancel_is_the_stage_from_flush_to_cancel() -> None:
    metrics = Metrics()

    metrics.stage("cancel", 0.002)
    metrics.stage("flush_to_cancel", 0.003)

    assert value(metrics, "cosybridge_bargein_stage_seconds_count", stage="flush_to_cancel") == 2
    assert (
        value(metrics, "cosybridge_bargein_stage_seconds_bucket", stage="flush_to_cancel", le="0.0025") == 1
    )


def test_interruptions_and_broken_budgets_are_counted() -> None:
    metrics = Metrics()

    metrics.interruption("speech", flushed=True)
    metrics.interruption("speech", flushed=False)
    metrics.over_budget("mute")
    metrics.first_audio(0.2)

    assert value(metrics, "cosybridge_bargein_ducks_total", cause="speech", outcome="resumed") == 1
    assert value(metrics, "cosybridge_bargein_over_budget_total", stage="mute") == 1
    assert value(metrics, "cosybridge_first_audio_seconds_sum") == 0.2


def test_running_totals_of_legs_add_up_and_outlive_the_leg() -> None:
    metrics = Metrics()

    metrics.leg(
        "a", {"tx_packets": 100, "rx_packets": 90, "rx_lost": 2, "silence_held": 5, "jitter_ticks": 3.5}
    )
    metrics.leg("b", {"tx_packets": 10})
    metrics.leg("a", {"tx_packets": 150, "rx_packets": 140, "rx_lost": 2, "silence_held": 5})
    metrics.leg_closed("a", {"tx_packets": 160, "tx_late": 1, "ducked_samples": 320})
    metrics.leg("a", {"tx_packets": 1})

    assert value(metrics, "cosybridge_rtp_sent_packets_total") == 171
    assert value(metrics, "cosybridge_rtp_sent_late_packets_total") == 1
    assert value(metrics, "cosybridge_rtp_received_packets_total", kind="packets") == 140
    assert value(metrics, "cosybridge_rtp_received_packets_total", kind="lost") == 2
    assert value(metrics, "cosybridge_silent_frames_total", cause="held") == 5
    assert value(metrics, "cosybridge_ducked_samples_total") == 320


def test_packets_that_come_late_after_all_do_not_inflate_the_loss() -> None:
    metrics = Metrics()

    for total in (100, 99, 100, 99, 100, 101):
        metrics.leg("a", {"rx_lost": total})

    assert value(metrics, "cosybridge_rtp_received_packets_total", kind="lost") == 101


def test_the_worst_of_the_running_calls_is_shown() -> None:
    metrics = Metrics()
    assert math.isnan(value(metrics, "cosybridge_mos_worst", direction="in") or 0)

    metrics.leg("a", {"mos_in": 4.3, "mos_out": 0})
    metrics.leg("b", {"mos_in": 3.1, "mos_out": 4.0})
    assert value(metrics, "cosybridge_mos_worst", direction="in") == 3.1
    assert value(metrics, "cosybridge_mos_worst", direction="out") == 4.0

    metrics.leg_closed("b", {"mos_in": 3.1, "mos_out": 4.0})
    assert value(metrics, "cosybridge_mos_worst", direction="in") == 4.3
    assert math.isnan(value(metrics, "cosybridge_mos_worst", direction="out") or 0)


def test_how_a_call_sounded_is_kept_when_it_ends() -> None:
    metrics = Metrics()

    metrics.leg_closed(
        "a",
        {
            "rx_packets": 950,
            "rx_lost": 50,
            "tx_packets": 1000,
            "lost_out": 20,
            "mos_in_lowest": 3.4,
            "mos_out": 4.2,
            "mos_out_lowest": 3.9,
            "round_trip_ms": 40,
            "rtcp_sent": 7,
        },
    )
    metrics.leg_closed("b", {"rx_packets": 10, "tx_packets": 10})
    metrics.leg_closed("c", {})

    assert value(metrics, "cosybridge_call_mos_sum", direction="in") == 3.4
    assert value(metrics, "cosybridge_call_mos_sum", direction="out") == 3.9
    assert value(metrics, "cosybridge_call_loss_ratio_sum", direction="in") == 0.05
    assert value(metrics, "cosybridge_call_loss_ratio_count", direction="in") == 2
    assert value(metrics, "cosybridge_call_loss_ratio_sum", direction="out") == 0.02
    assert value(metrics, "cosybridge_call_loss_ratio_count", direction="out") == 1
    assert value(metrics, "cosybridge_call_round_trip_seconds_sum") == 0.04
    assert value(metrics, "cosybridge_rtcp_packets_total", kind="sent") == 7


def test_sip_counters_arrive_as_totals() -> None:
    metrics = Metrics()

    metrics.sip({"requests": 3, "dropped": 0})
    metrics.sip({"requests": 5, "dropped": 1})

    assert value(metrics, "cosybridge_sip_total", kind="requests") == 5
    assert value(metrics, "cosybridge_sip_total", kind="dropped") == 1


def test_a_scrape_brings_the_gauges_up_to_date_first() -> None:
    metrics = Metrics()
    metrics.refresh_with(lambda: metrics.tts_connections({"idle": 2, "speaking": 1}))
    metrics.engine_died()
    metrics.tts_failed("Refused")

    text = metrics.scrape().decode()

    assert 'cosybridge_tts_connections{state="idle"} 2.0' in text
    assert "cosybridge_engine_deaths_total 1.0" in text
    assert 'cosybridge_tts_failures_total{code="Refused"} 1.0' in text
    assert "# HELP cosybridge_calls_active Calls up now" in text


def test_two_bridges_in_one_process_share_nothing() -> None:
    one, other = Metrics(), Metrics()

    one.call_started()

    assert value(other, "cosybridge_calls_active") == 0


def test_trunks_show_their_state_and_what_they_refused() -> None:
    metrics = Metrics()

    metrics.trunk_states({"carrier": True, "pbx": False}, {"carrier": 3})
    for total in (1, 4):
        metrics.trunk_failures({"pbx": total}, {("carrier", "rate"): total}, {"not_allowed": total})

    text = metrics.scrape().decode()
    for line in (
        'cosybridge_trunk_registered{trunk="carrier"} 1.0',
        'cosybridge_trunk_registered{trunk="pbx"} 0.0',
        'cosybridge_trunk_calls{trunk="carrier"} 3.0',
        'cosybridge_trunk_registration_failures_total{trunk="pbx"} 4.0',
        'cosybridge_trunk_refused_total{limit="rate",trunk="carrier"} 4.0',
        'cosybridge_dials_refused_total{cause="not_allowed"} 4.0',
    ):
        assert line in text


def test_what_became_of_records_is_counted_on() -> None:
    metrics = Metrics()

    metrics.records({"kept": 2, "dropped": 0})
    metrics.records({"kept": 5, "dropped": 1})

    assert value(metrics, "cosybridge_records_total", outcome="kept") == 5
    assert value(metrics, "cosybridge_records_total", outcome="dropped") == 1

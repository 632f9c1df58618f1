from importlib import import_module

from bridge.call.path import INBOUND, OUTBOUND, describe
from bridge.plane.columns import Columns


def test_every_stage_names_a_module_that_exists() -> None:
    for stage in (*OUTBOUND, *INBOUND):
        assert import_module(f"bridge.{stage.where}").__doc__


def test_every_counter_of_the_path_is_a_column() -> None:
    columns = Columns(memoryview(bytearray(Columns.size_bytes(1))), 1)

    for stage in (*OUTBOUND, *INBOUND):
        assert all(hasattr(columns, name) for name in stage.counters)


def test_a_running_leg_is_drawn_with_its_counts() -> None:
    drawing = describe({"tx_packets": 42, "rx_lost": 1})

    assert "tx_packets=42" in drawing
    assert "rx_lost=1" in drawing
    assert drawing.index("bridge → caller") < drawing.index("caller → bridge")

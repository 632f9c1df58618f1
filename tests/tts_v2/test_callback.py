from bridge.tts_v2.callback import ResultCallback


def test_a_callback_that_overrides_nothing_hears_everything() -> None:
    callback = ResultCallback()

    callback.on_open()
    callback.on_event("{}")
    callback.on_data(b"")
    callback.on_complete()
    callback.on_error("{}")
    callback.on_close()

    assert {name for name in vars(ResultCallback) if name.startswith("on_")} == {
        "on_open",
        "on_event",
        "on_data",
        "on_complete",
        "on_error",
        "on_close",
    }

from bridge.cosyvoice import limits


def test_a_silent_client_is_told_so_before_its_connection_would_be_idle() -> None:
    assert limits.SILENCE_NS < limits.IDLE_NS
    assert str(limits.SILENCE_NS // 10**9) in limits.SILENT_CLIENT.message


def test_a_task_holds_more_than_one_message() -> None:
    assert limits.MESSAGE_CHARACTERS < limits.TASK_CHARACTERS

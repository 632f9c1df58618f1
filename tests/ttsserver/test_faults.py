import pytest

from bridge.ttsserver.faults import Fault, read_faults


def test_faults_are_known_by_name() -> None:
    assert read_faults(["stall", "slow_cancel"]) == {Fault.STALL, Fault.SLOW_CANCEL}
    assert read_faults([]) == frozenset()


@pytest.mark.parametrize("name", ["stal", "", 3, None])
def test_an_unknown_fault_is_refused_with_those_that_exist(name: object) -> None:
    with pytest.raises(ValueError, match=r"there are refuse, .*drop_mid_word"):
        read_faults([name])

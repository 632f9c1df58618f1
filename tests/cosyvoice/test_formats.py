import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cosyvoice.formats import RATES, TaskParameters
from bridge.errors import RemoteProtocolError
from bridge.text.hot_fix import HotFix


def test_the_sdks_literal_defaults_mean_mp3_at_22050_hz() -> None:
    parameters = TaskParameters.from_wire({"voice": "longanyang", "format": "Default", "sample_rate": 0})

    assert (parameters.format, parameters.sample_rate) == ("mp3", 22050)
    assert TaskParameters.from_wire({}) == TaskParameters()


def test_null_means_the_default() -> None:
    assert TaskParameters.from_wire({"voice": None, "volume": None, "format": None}) == TaskParameters()


def test_opus_has_its_own_rates() -> None:
    assert TaskParameters.from_wire({"format": "opus"}).sample_rate == 24000
    with pytest.raises(
        RemoteProtocolError, match="'sample_rate' must be one of 8000, 16000, 24000, 48000 for opus"
    ):
        TaskParameters.from_wire({"format": "opus", "sample_rate": 22050})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "flac"),
        ("format", 7),
        ("format", []),
        ("sample_rate", 11025),
        ("sample_rate", "8000"),
        ("sample_rate", False),
        ("volume", -1),
        ("volume", 101),
        ("volume", 50.5),
        ("volume", True),
        ("rate", 0.4),
        ("rate", 2.1),
        ("rate", float("nan")),
        ("rate", "fast"),
        ("pitch", True),
        ("seed", 65536),
        ("bit_rate", 5),
        ("enable_ssml", "yes"),
        ("language_hints", "en"),
        ("language_hints", [1]),
        ("instruction", 3),
        ("enable_markdown_filter", 1),
        ("enable_aigc_tag", "true"),
        ("aigc_propagator", 5),
        ("aigc_propagate_id", []),
    ],
)
def test_a_value_out_of_its_range_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(RemoteProtocolError, match=f"Parameter '{key}' must be"):
        TaskParameters.from_wire({key: value})


def test_a_hot_fix_is_read_at_once_and_one_that_changes_nothing_is_none() -> None:
    assert TaskParameters.from_wire({"hot_fix": {"replace": [{"a": "b"}]}}).hot_fix == HotFix({}, {"a": "b"})
    assert TaskParameters.from_wire({"hot_fix": {"replace": [], "pronunciation": None}}).hot_fix is None
    with pytest.raises(RemoteProtocolError, match="hot_fix must be an object, not a list"):
        TaskParameters.from_wire({"hot_fix": []})


def test_what_we_do_not_know_is_passed_through() -> None:
    parameters = TaskParameters.from_wire({"x_fault": "stall", "type": 0})

    assert parameters.extra == {"x_fault": "stall"}
    assert parameters.to_wire()["x_fault"] == "stall"


def test_the_preview_client_says_ssml_by_the_text_type() -> None:
    assert TaskParameters.from_wire({"text_type": "SSML"}).enable_ssml


def test_json_knows_one_kind_of_number() -> None:
    assert TaskParameters.from_wire({"volume": 70.0, "rate": 1}) == TaskParameters(volume=70, rate=1.0)


@given(
    st.builds(
        TaskParameters,
        voice=st.none() | st.text(min_size=1),
        format=st.sampled_from(["pcm", "wav", "mp3"]),
        sample_rate=st.sampled_from(RATES),
        volume=st.integers(0, 100),
        rate=st.floats(0.5, 2.0),
        pitch=st.floats(0.5, 2.0),
        seed=st.integers(0, 65535),
        enable_ssml=st.booleans(),
        word_timestamp_enabled=st.booleans(),
        language=st.sampled_from(["", "en", "zh"]),
        instruction=st.text(),
        bit_rate=st.none() | st.integers(6, 510),
        hot_fix=st.none()
        | st.dictionaries(st.text(min_size=1, max_size=9), st.text(max_size=9), min_size=1, max_size=3).map(
            lambda words: HotFix({"天气": "tian1 qi4"}, words)
        ),
        enable_markdown_filter=st.booleans(),
        enable_aigc_tag=st.booleans(),
        aigc_propagator=st.text(),
        aigc_propagate_id=st.text(),
    )
)
def test_parameters_survive_the_wire(parameters: TaskParameters) -> None:
    assert TaskParameters.from_wire(parameters.to_wire()) == parameters


def test_the_bit_rate_travels_with_opus() -> None:
    parameters = TaskParameters(format="opus", sample_rate=48000, bit_rate=64)

    assert TaskParameters.from_wire(parameters.to_wire()) == parameters

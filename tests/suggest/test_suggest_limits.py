"""Limits as people type them."""

import pytest

from edgevid.errors import ConfigError
from edgevid.suggest.limits import parse_memory, parse_milliseconds


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("50ms", 50), ("0.05s", 50), ("2 s", 2000), (" 1.5 ms ", 1.5), ("800us", 0.8)],
)
def test_times_have_units(text, milliseconds):
    assert parse_milliseconds(text, "--max-latency") == pytest.approx(milliseconds)


@pytest.mark.parametrize(
    ("text", "size"), [("200MB", 200_000_000), ("1 GiB", 1 << 30), ("512kB", 512_000), ("64 B", 64)]
)
def test_sizes_have_units(text, size):
    assert parse_memory(text, "--max-memory") == size


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("50", "'50' has no unit"),
        ("50 msec", "unknown unit 'msec'"),
        ("50MS", "unknown unit 'MS'"),
        ("50 MB", "unknown unit 'MB'"),
        ("0ms", "allows nothing"),
        ("-5ms", "no number with a unit"),
        ("5,5ms", "no number with a unit"),
        ("1e3ms", "unknown unit|no number with a unit"),
        ("nanms", "no number with a unit"),
        ("", "no number with a unit"),
    ],
)
def test_what_is_no_time_is_refused_with_examples(text, told):
    with pytest.raises(ConfigError, match=told) as caught:
        parse_milliseconds(text, "--max-latency")
    assert caught.value.where == "--max-latency"
    assert "50ms" in caught.value.fix


def test_what_is_no_size_is_refused_with_examples():
    with pytest.raises(ConfigError, match="unknown unit 'Mb'") as caught:
        parse_memory("200Mb", "--max-memory")
    assert "MiB" in caught.value.fix

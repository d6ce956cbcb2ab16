"""What verbs make of options that several of them share."""

import inspect
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from edgevid.cli.network_flags import takes_network_flags
from edgevid.cli.options import check_file, check_folder, known_hint, named_files, numbers
from edgevid.errors import ConfigError


def given(*arguments, **kind):
    """The ``flags`` that a verb gets."""
    seen = {}

    @takes_network_flags(**kind)
    def verb(name: Annotated[str, typer.Argument()], *, flags: dict[str, Any]) -> None:
        seen.update(flags, name=name)

    app = typer.Typer()
    app.command()(verb)
    result = CliRunner().invoke(app, ["net", *arguments])
    return seen if result.exit_code == 0 else result


def test_only_settings_that_were_given_are_flags():
    assert given() == {"name": "net"}
    assert given("--segments", "4", "--temporal-clips", "2", "--mean", "1") == {
        "name": "net",
        "segments": 4,
        "clips": 2,
        "mean": (1.0, 1.0, 1.0),
    }


def test_a_verb_that_looks_at_one_view_has_no_options_for_more():
    assert given("--crops", "3", views=False).exit_code == 2
    assert given("--crops", "3") == {"name": "net", "crops": 3}


def test_a_verb_of_several_networks_takes_frames_for_each():
    assert given("--segments", "8,16", several=True) == {"name": "net", "segments": [8, 16]}
    assert given("--segments", "8", several=True) == {"name": "net", "segments": [8]}
    assert given(several=True) == {"name": "net"}
    assert "--segments" in str(given("--segments", "8;16", several=True).exception)
    assert given("--segments", "8,16").exit_code == 2


def test_the_verb_keeps_its_help_and_its_own_options_first():
    @takes_network_flags()
    def verb(name: str, *, flags: dict[str, Any]) -> None:
        """What it does."""

    assert verb.__doc__ == "What it does."
    assert list(inspect.signature(verb).parameters)[:2] == ["name", "preset"]


@pytest.mark.parametrize("text", ["1,2", "a", ""])
def test_a_mean_is_one_number_or_three(text):
    result = given("--mean", text)
    assert isinstance(result.exception, ConfigError)
    assert "--mean" in str(result.exception)


def test_files_are_named_once_each():
    assert named_files(["a=x", "b=y=z"], "--logits") == {"a": Path("x"), "b": Path("y=z")}
    for wrong in (["a"], ["=x"], ["a="], ["a=x", "a=y"]):
        with pytest.raises(ConfigError, match="NAME=FILE"):
            named_files(wrong, "--logits")


def test_numbers_hints_and_folders_are_checked(tmp_path):
    assert numbers("1,16", "--batch") == [1, 16]
    assert known_hint(None) == "latency"
    check_file(tmp_path / "new.json", "the results")
    check_folder(tmp_path, "the pictures")
    for wrong in (
        lambda: numbers("one", "--batch"),
        lambda: known_hint("speed"),
        lambda: check_file(tmp_path, "the results"),
        lambda: check_file(tmp_path / "none" / "new.json", "the results"),
        lambda: check_folder(tmp_path / "none" / "new.json", "the results"),
    ):
        with pytest.raises(ConfigError):
            wrong()

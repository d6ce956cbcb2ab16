"""The command line that results tell."""

import sys

import pytest

from edgevid.bench.own_command import own_command


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["/v/bin/python3", "/v/bin/edgevid", "bench", "/a/b"],
            ("python3", "edgevid", "bench", "/a/b"),
        ),
        (["/usr/bin/python", "-m", "edgevid.x", "folder"], ("python", "-m", "edgevid.x", "folder")),
        (["edgevid", "run", "/opt/edgevid"], ("edgevid", "run", "/opt/edgevid")),
        ([], ()),
    ],
)
def test_folders_of_the_program_are_left_out_and_what_was_typed_stays(monkeypatch, words, told):
    monkeypatch.setattr(sys, "orig_argv", words)
    assert own_command() == told

"""What tests measure is no user's."""

import subprocess
import sys
from pathlib import Path

from edgevid.choose.store import user_store


def test_what_tests_choose_is_kept_apart_from_what_the_user_measured():
    assert not user_store().folder.is_relative_to(Path.home() / ".cache")


def test_commands_that_tests_start_keep_it_there_too():
    program = "from edgevid.choose.store import user_store; print(user_store().folder)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(user_store().folder)

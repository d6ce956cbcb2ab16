"""Every command of the README runs, in the order in which a reader meets them."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from warm_command import edgevid

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands():
    text = "\n".join(blocks("sh")).replace("\\\n", " ")
    return [line for line in (re.sub(r"\s+#.*", "", line).strip() for line in text.splitlines()) if line]


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A folder in which the README's relative paths work, and an environment that finds edgevid."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "edgevid").symlink_to(ROOT / "edgevid", target_is_directory=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return folder, {**os.environ, "PATH": path, "COLUMNS": "200"}


def execute(line, reader, timeout=300):
    folder, environment = reader
    return subprocess.run(
        shlex.split(line), cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout
    )


def test_every_edgevid_command_of_the_readme_succeeds_in_order(reader):
    shown = [line for line in commands() if not line.startswith("make ")]
    assert sum(line.startswith("edgevid ") for line in shown) >= 12
    folder, environment = reader
    for line in shown:
        program, *arguments = shlex.split(line)
        if program == "edgevid":
            done = edgevid(*arguments, cwd=folder, env=environment)
        elif [program, *arguments[:1]] == ["python", "-m"]:
            done = edgevid(*arguments[2:], module=arguments[1], cwd=folder, env=environment)
        else:
            done = execute(line, reader)
        assert done.returncode == 0, f"$ {line}\n{done.stdout}\n{done.stderr}"
        assert done.stdout.strip(), f"$ {line} printed nothing"


def test_every_verb_is_in_the_readme():
    from typer.main import get_command

    from edgevid.cli import app

    verbs = set(get_command(app).commands)
    assert verbs == {line.split()[1] for line in commands() if line.startswith("edgevid ")}


def test_the_python_example_recognizes_a_video(reader):
    folder, environment = reader
    assert execute("edgevid clips clips --count 1", reader).returncode == 0
    (example,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    name, probability = done.stdout.split()
    assert name == "grow"
    assert float(probability) > 0.5


def test_make_knows_every_target_that_the_readme_names():
    targets = {line.split()[1] for line in commands() if line.startswith("make ")}
    assert targets >= {"demo", "test", "test-slow", "lint"}
    for target in targets:
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_the_commands_of_the_demo_are_known_with_their_options():
    """Each verb of it runs in the test of the README's commands; the demo itself is run by make test-slow."""
    from typer.main import get_command

    from edgevid.cli import app

    known = get_command(app).commands
    done = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True, check=True)
    given = [shlex.split(line)[1:] for line in done.stdout.splitlines() if "bin/edgevid " in line]
    assert {"clips", "inspect", "compile", "verify", "run", "bench", "compare"} <= {
        verb for verb, *_ in given
    }
    for verb, *arguments in given:
        known[verb].make_context(verb, arguments)


@pytest.mark.slow
def test_make_demo_shows_the_whole_journey(tmp_path):
    if not (ROOT / ".venv" / ".edgevid-ready").is_file():
        pytest.skip("the demo needs the environment that make sets up in .venv")
    output = tmp_path / "demo"
    done = subprocess.run(
        ["make", "demo", f"OUT={output}"], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "status: verified on the device" in done.stdout
    assert re.search(r"VALID", done.stdout)
    assert (output / "bench.json").is_file()
    shutil.rmtree(output)

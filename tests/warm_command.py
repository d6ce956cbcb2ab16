"""The command line in new processes that begin where its imports end.

Importing PyTorch and its exporter takes seconds of each command. One process imports them, exports a network,
so that what the exporter makes once is made, and forks for each command that a test gives. The child does all
that `edgevid.cli.main` does, or a module as a program. Networks that were exported before are not again: see
`exported_once`. Runtimes are not imported before: they have threads, which a fork does not copy.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

SERVER = """
import gc, importlib, json, os, runpy, signal, sys

sys.path.append(sys.argv[1])
for name in (
    "torch", "torch.onnx._internal.exporter", "onnxscript", "onnx", "onnx_ir", "rich.table", "PIL.Image",
    "edgevid.cli", "edgevid.compiler", "edgevid.graph.export", "edgevid.graph.golden", "edgevid.models",
):
    importlib.import_module(name)
import exported_once
from edgevid.models import NetworkConfig, ShiftConfig, build

shape = {"classes": 5, "segments": 4, "size": 32, "blocks": (1, 2, 1, 1), "channels": (16,) * 5}
exported_once.export_anew(build(NetworkConfig(backbone="resnet18", shift=ShiftConfig(), **shape)).eval())
importlib.import_module("edgevid.graph.export").export = exported_once.export
gc.collect()
gc.freeze()
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if not child:
        for number, (path, mode) in enumerate(asked["streams"]):
            os.dup2(os.open(path, mode, 0o600), number)
        sys.stdin = open(0)
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.argv = sys.orig_argv = ["edgevid", *asked["arguments"]]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.alarm(asked["timeout"])
        if asked["module"]:
            runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
            sys.exit()
        from edgevid.cli import main
        main()  # ends by SystemExit
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


@cache
def _server():
    """One a testing process; it ends when its standard input does."""
    return subprocess.Popen(
        [sys.executable, "-c", SERVER, str(Path(__file__).parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # a pool of threads would not reach the children either
    )


def edgevid(*arguments, module=None, cwd=None, env=None, timeout=300):
    """What `subprocess.run` returns of ``edgevid ARGUMENTS`` or ``python -m MODULE ARGUMENTS``, as text."""
    server = _server()
    with tempfile.TemporaryDirectory() as folder:
        out, error = Path(folder) / "out", Path(folder) / "error"
        write = os.O_WRONLY | os.O_CREAT
        asked = {
            "module": module,
            "arguments": list(map(str, arguments)),
            "folder": str(cwd or Path.cwd()),
            "environment": dict(env or os.environ),
            "streams": [(os.devnull, os.O_RDONLY), (str(out), write), (str(error), write)],
            "timeout": timeout,
        }
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        answer = server.stdout.readline()
        assert answer, "the process that forks has ended"
        status = int(answer)
        if status == -signal.SIGALRM:
            raise subprocess.TimeoutExpired(asked["arguments"], timeout)
        return subprocess.CompletedProcess(
            asked["arguments"], status, out.read_text(encoding="utf-8"), error.read_text(encoding="utf-8")
        )

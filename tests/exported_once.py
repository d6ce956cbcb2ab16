"""The exporter, for each network once: PyTorch takes seconds for one.

Of a network with the same configuration and weights, the first that asks has it exported, whichever of the
processes of a test run that is; the others read its file, or get a copy. What tests take from
`edgevid.graph.export` themselves is exported each time.
"""

import hashlib
import os
from pathlib import Path

import onnx_ir as ir

from edgevid.graph.export import export as export_anew

FOLDER = "EDGEVID_TESTS_EXPORTED"
"""Environment variable: the folder of the files."""

_graphs = {}


def export(network, *, batch=1):
    """As `edgevid.graph.export.export`, of networks that are what their configuration says."""
    key = _key(network, batch)
    if key not in _graphs:
        file = Path(os.environ[FOLDER]) / f"{key}.onnx"
        _graphs[key] = ir.load(file) if file.is_file() else _written(export_anew(network, batch=batch), file)
    return _graphs[key].clone()


def _key(network, batch):
    found = hashlib.sha256(repr((network.config, batch)).encode())
    for name, tensor in sorted(network.state_dict().items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().numpy().tobytes())
    return found.hexdigest()


def _written(model, file):
    draft = file.with_name(f"{file.stem}.{os.getpid()}.onnx")
    ir.save(model, draft)
    draft.replace(file)  # in one step, since another process may look
    return model

"""From a PyTorch network to the canonical ONNX graph.

Ensures: batch norms folded into their convolutions, or where there is none into a product and a
sum, one ``edgevid::Shift`` a shift, static shapes (or a symbolic batch), no training operations,
weights stored once.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import onnx_ir as ir
import torch
from onnx_ir.passes import common as passes

from edgevid.errors import GraphError
from edgevid.graph.fold_batch_norms import fold_batch_norms
from edgevid.graph.shift_op import DOMAIN, OPSET, SHIFT, attach_functions, shift_nodes, spec_attributes
from edgevid.models.psn import fold_routing
from edgevid.models.shift_module import Shift

if TYPE_CHECKING:
    from edgevid.models.network import VideoNetwork

__all__ = ["export"]


def export(network: VideoNetwork, *, batch: int | None = 1) -> ir.Model:
    """The canonical graph of ``network``.

    Input ``frames`` float32 ``[N, T, C, H, W]``, already normalized; output ``logits``
    float32 ``[N, classes]``.

    Args:
        network: in eval mode; it is left as it is.
        batch: N, or None for a symbolic batch.

    Raises:
        GraphError: a batch of no clips; the exporter lost or duplicated a shift, or left a batch norm.
    """
    if batch is not None and batch < 1:
        raise GraphError(f"a batch of {batch} clips", where="batch", fix="give a number from 1, or None")
    config = network.config
    traced = copy.deepcopy(network).eval()
    fold_routing(traced)
    for module in traced.modules():
        if isinstance(module, Shift):
            module.forward = _symbolic(module)  # type: ignore[method-assign]
    examples = torch.zeros(batch or 2, config.segments, config.frame_channels, config.size, config.size)
    dynamic = ({0: torch.export.Dim("N", min=1)},) if batch is None else None
    with _quiet():
        program = torch.onnx.export(
            traced,
            (examples,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["frames"],
            output_names=["logits"],
            dynamic_shapes=dynamic,
            verbose=False,
        )
    if program is None:
        raise GraphError("PyTorch's exporter returned no graph")
    model = program.model
    _fold(model)
    _check(model, expected=sum(not spec.is_identity for _, spec in network.shift_specs()))
    model.graph.name = config.backbone
    model.producer_name, model.producer_version = "edgevid", None
    passes.ClearMetadataAndDocStringPass()(model)
    attach_functions(model)
    return model


def _symbolic(module: Shift) -> Any:
    def forward(frames: torch.Tensor) -> torch.Tensor:
        if module.spec.is_identity:
            return frames
        return torch.onnx.ops.symbolic(
            f"{DOMAIN}::{SHIFT}",
            (frames,),
            dict(spec_attributes(module.spec)),
            dtype=frames.dtype,
            shape=frames.shape,
            version=1,
        )

    return forward


def _fold(model: ir.Model) -> None:
    """PyTorch folds batch norms behind a convolution; those around a gate have none."""
    if any(node.op_type == "BatchNormalization" for node in model.graph):
        fold_batch_norms(model)
        passes.RemoveUnusedNodesPass()(model)


def _check(model: ir.Model, expected: int) -> None:
    found = len(shift_nodes(model))
    if found != expected:
        raise GraphError(f"the exported graph has {found} shifts, the network {expected}")
    left = sorted({node.op_type for node in model.graph if node.op_type in {"BatchNormalization", "Dropout"}})
    if left:
        raise GraphError(f"the exported graph still holds {', '.join(left)}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter prints its steps and warns of packages that we do not use."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)

"""Force OpenVINO's convolutions into layouts blocked by 16 channels (nCdhw16c).

By itself the CPU plugin chooses channels-last layouts, in which a group of channels is
scattered over the whole tensor. In a blocked layout of [1,C,T,H,W] it is one piece of memory,
which a split takes out without a copy: what the lowering ``volume_split_conv`` is made for.
Its kernels are also the faster ones for some networks on some processors, whatever the lowering.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from edgevid.contract import Device, Precision

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["BLOCKED", "fits_blocked_layout", "force_blocked_layout", "has_blocked_layout"]

BLOCKED = "@blocked"
"""What a lowering's name ends with whose convolutions are forced into blocked layouts."""

_KERNELS = "cpu:jit_avx512_dw,cpu:jit_avx512_1x1,cpu:jit_avx512"
"""Convolutions in blocked layouts by the plugin's names; it passes over what a CPU has not. Without the
first, depthwise convolutions fall to a kernel for dense ones that takes twice as long."""


def has_blocked_layout(device: Device, precision: Precision) -> bool:
    """Has ``device`` these kernels for the type that ``precision`` computes in? They need AVX-512."""
    return precision != "int8" and "avx512f" in device.isa


def fits_blocked_layout(graph: ir.Model, device: Device, precision: Precision) -> bool:
    """Can every convolution of ``graph`` run blocked, right and fast, on volumes?

    The kernels suit dense convolutions whose channels are whole blocks, and the first one of an
    RGB image; others of volumes fall to ``jit_gemm`` or reference kernels, which in bf16 were
    seen to compute wrong results (MobileNetV2). Depthwise convolutions of volumes have kernels in
    float32, but how much blocks gain there was measured on one processor only: not by default.
    """
    from edgevid.graph.split_conv import BLOCK

    if not has_blocked_layout(device, precision):
        return False
    for node in graph.graph:
        if node.op_type != "Conv":
            continue
        weight = node.inputs[1]
        if weight is None or weight.shape is None or node.attributes.get_int("group", 1) != 1:
            return False
        outputs, inputs, *_ = weight.shape.numpy()
        if outputs % BLOCK or (inputs % BLOCK and inputs != 3):
            return False
    return True


def force_blocked_layout(path: Path) -> None:
    """Put the kernels with blocked layouts first for every convolution of an IR.

    The CPU plugin reads the attribute ``primitives_priority`` of an operation
    (``ov::PrimitivesPriority``). The Python API cannot set it, since it takes no string for
    that type, so it is written into the ``.xml``.
    """
    tree = ET.parse(path)  # noqa: S314 - written a moment ago by OpenVINO
    for layer in tree.iterfind("layers/layer"):
        if layer.get("type") not in ("Convolution", "GroupConvolution"):
            continue
        info = layer.find("rt_info")
        if info is None:
            info = ET.Element("rt_info")
            layer.insert(1, info)
        attribute = {"name": "primitives_priority", "version": "0", "value": _KERNELS}
        ET.SubElement(info, "attribute", attribute)
    tree.write(path, encoding="utf-8", xml_declaration=True)

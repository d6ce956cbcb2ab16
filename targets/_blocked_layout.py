"""Force OpenVINO's convolutions into layouts blocked by 16 channels (nCdhw16c).

By itself the CPU plugin chooses channels-last layouts, in which a group of channels is
scattered over the whole tensor. In a blocked layout of [1,C,T,H,W] it is one piece of memory,
which a split takes out without a copy: what the lowering ``volume_split_conv`` is made for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from edgevid.contract import Device, Precision

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["fits_blocked_layout", "force_blocked_layout"]

_KERNELS = "cpu:jit_avx512_1x1,cpu:jit_avx512"
"""Convolutions in blocked layouts by the plugin's names; it passes over what a CPU has not."""


def fits_blocked_layout(graph: ir.Model, device: Device, precision: Precision) -> bool:
    """Can every convolution of ``graph`` run blocked, right and fast?

    The kernels need AVX-512, and in bf16 some were seen to compute wrong results. They suit
    dense convolutions whose channels are whole blocks, and the first one of an RGB image;
    others fall to ``jit_gemm`` kernels, or are reordered from layout to layout (MobileNetV2).
    """
    from edgevid.graph.split_conv import BLOCK

    if precision != "fp32" or "avx512f" not in device.isa:
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
    """Put the kernels with blocked layouts first for every convolution of an IR on [N,C,T,H,W].

    The CPU plugin reads the attribute ``primitives_priority`` of an operation
    (``ov::PrimitivesPriority``). The Python API cannot set it, since it takes no string for
    that type, so it is written into the ``.xml``.
    """
    tree = ET.parse(path)  # noqa: S314 - written a moment ago by OpenVINO
    for layer in tree.iterfind("layers/layer"):
        if layer.get("type") != "Convolution" or len(layer.findall("output/port/dim")) != 5:
            continue
        info = layer.find("rt_info")
        if info is None:
            info = ET.Element("rt_info")
            layer.insert(1, info)
        attribute = {"name": "primitives_priority", "version": "0", "value": _KERNELS}
        ET.SubElement(info, "attribute", attribute)
    tree.write(path, encoding="utf-8", xml_declaration=True)

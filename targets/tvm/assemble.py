"""From layers to one module: a function for each distinct kernel, and one that calls them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import relax

from edgevid.targets.tvm.cpus import Cpu
from edgevid.targets.tvm.fallback import add_function
from edgevid.targets.tvm.kernels.choose import Kernel, candidates
from edgevid.targets.tvm.network import (
    Convolution,
    Copy,
    Fallback,
    Frames,
    Keep,
    Layer,
    Network,
    Operation,
    sources_of,
)
from edgevid.targets.tvm.unchecked import without_checks_of_caches

__all__ = ["Module", "assemble", "build"]

ENTRY = "main"


@dataclass(frozen=True)
class Module:
    """What TVM compiles, and which function stands for which layer.

    Attributes:
        functions: of TVM.
        kernels: by the layer's name, the function's name and the kernel.
        fallbacks: of layers without a kernel, the name of the function that TVM makes.
    """

    functions: Any
    kernels: Mapping[str, tuple[str, Kernel]]
    fallbacks: Mapping[str, str]


def assemble(
    network: Network,
    cpu: Cpu,
    output: Sequence[int],
    chosen: Mapping[Operation, Kernel] | None = None,
) -> Module:
    """A Relax module with ``main(clips, gates and caches ...) -> logits``; caches are written in place.

    Args:
        network: read from a graph.
        cpu: whose tiles are taken.
        output: shape of the logits.
        chosen: kernels by operation, as tuning found them; the first candidate of all others.

    Raises:
        TargetError: an operation without a kernel.
    """
    builder = relax.BlockBuilder()
    kernels: dict[tuple[Any, ...], tuple[str, Any]] = {}
    first = network.activations[network.input]
    assert isinstance(first, Frames)
    shape = (first.clips, first.segments, first.height, first.width, first.channels)
    clips = relax.Var("clips", relax.TensorType(shape, first.dtype))
    values: dict[str, Any] = {
        name: relax.Var(
            name, relax.TensorType(network.activations[name].shape, network.activations[name].dtype)
        )
        for name in network.others
    }
    used: dict[str, tuple[str, Kernel]] = {}
    functions: dict[Fallback, tuple[str, Any]] = {}
    fallbacks: dict[str, str] = {}
    with builder.function(ENTRY, [clips, *values.values()]):
        with builder.dataflow():
            values[network.input] = builder.emit(relax.op.reshape(clips, relax.ShapeExpr(list(first.shape))))
            for layer in network.layers:
                operation = layer.operation
                inputs = _inputs(builder, layer, values)
                if isinstance(operation, Fallback):
                    if operation not in functions:
                        name = f"tvm_{operation.operator.lower()}_{len(functions)}"
                        functions[operation] = name, add_function(builder, operation, name)
                    fallbacks[layer.name], called = functions[operation]
                    values[layer.output] = builder.emit(relax.Call(called, inputs))
                    continue
                kernel = (chosen or {}).get(operation) or candidates(operation, cpu)[0]
                if kernel.code not in kernels:
                    name = f"{kernel.family}_{len(kernels)}"
                    kernels[kernel.code] = name, builder.add_func(kernel.build(name), name)
                name, function = kernels[kernel.code]
                used[layer.name] = name, kernel
                if isinstance(operation, Keep):
                    inputs.append(values[layer.output])
                values[layer.output] = builder.emit(_call(layer, kernel, function, inputs))
            logits = relax.op.reshape(values[network.output], relax.ShapeExpr(list(output)))
            result = builder.emit_output(builder.emit(logits))
        builder.emit_func_output(result)
    return Module(builder.get(), used, fallbacks)


def _inputs(builder: Any, layer: Layer, values: Mapping[str, Any]) -> list[Any]:
    """A layer's inputs, each as the shape that its operation sees."""
    found = []
    for name, source in zip(layer.inputs, sources_of(layer.operation), strict=False):
        value = values[name]
        if tuple(int(size) for size in value.ty.shape) != source.shape:
            value = builder.emit(relax.op.reshape(value, relax.ShapeExpr(list(source.shape))))
        found.append(value)
    return found


def _call(layer: Layer, kernel: Kernel, function: Any, inputs: Sequence[Any]) -> Any:
    operation, target = layer.operation, layer.operation.target
    constants = [relax.const(np.ascontiguousarray(array)) for array in kernel.pack(layer.weights)]
    kind = relax.TensorType(target.shape, target.dtype)
    if isinstance(operation, Keep):
        return relax.op.call_tir_inplace(function, list(inputs), len(inputs) - 1, kind)
    # A convolution that keeps writes its cache as well. Relax need not know: it is an argument of the whole
    # function, whose memory is never planned, and no pass below takes calls away or changes their order.
    with_cache = isinstance(operation, Convolution | Copy) and operation.cache is not None
    first = 2 if with_cache else 1
    return relax.call_tir(function, [*inputs[:first], *constants, *inputs[first:]], kind)


def build(module: Module, cpu: Cpu) -> Any:
    """Machine code of a module: an executable of TVM's virtual machine."""
    return tvm.compile(module.functions, target=tvm.target.Target(cpu.llvm), relax_pipeline=_pipeline())


def _pipeline() -> Any:
    """Relax's own passes for functions that are scheduled already.

    The default pipeline fuses and schedules operators, and refuses functions without blocks.
    """
    passes = relax.transform

    @tvm.transform.module_pass(opt_level=0)  # type: ignore[untyped-decorator]
    def run(module: Any, _context: Any) -> Any:
        lowered = tvm.transform.Sequential(
            [
                # Sorts and running sums, which LegalizeOps leaves out.
                relax.backend.DispatchSortScan(),
                # A reshape stays one: its memory is seen as another shape, not copied.
                passes.LegalizeOps(skip_ops=["relax.reshape"]),
                passes.ToNonDataflow(),
                passes.RemovePurityChecking(),
                passes.CallTIRRewrite(),
                passes.StaticPlanBlockMemory(),
                passes.LowerAllocTensor(),
                passes.KillAfterLastUse(),
                passes.LowerRuntimeBuiltin(),
                passes.ComputePrimValue(),
                passes.VMShapeLower(),
            ]
        )(module)
        return passes.AttachGlobalSymbol()(without_checks_of_caches(lowered, ENTRY))

    return run

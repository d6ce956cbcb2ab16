# ruff: noqa: N805
"""A module of one hand-written kernel, y = relu(x @ w) for four rows, and what it computes in numpy."""

import numpy as np
import tvm
from tvm import relax
from tvm.script import ir as I  # noqa: N812
from tvm.script import relax as R  # noqa: N812
from tvm.script import tirx as T  # noqa: N812

from edgevid.targets.tvm.cross import export

WEIGHTS = (np.arange(40, dtype=np.float32).reshape(8, 5) - 20) / 10


@I.ir_module
class _Module:
    @T.prim_func(private=True)
    def dense(x: T.Buffer((4, 8), "float32"), w: T.Buffer((8, 5), "float32"), y: T.Buffer((4, 5), "float32")):
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        for i in T.parallel(4):
            for j in range(5):
                y[i, j] = T.float32(0)
                for k in range(8):
                    y[i, j] = y[i, j] + x[i, k] * w[k, j]
                y[i, j] = T.max(y[i, j], T.float32(0))

    @R.function
    def main(x: R.Tensor((4, 8), "float32")) -> R.Tensor((4, 5), "float32"):
        with R.dataflow():
            y = R.call_tir(_Module.dense, (x, R.const(WEIGHTS)), R.Tensor((4, 5), "float32"))
            R.output(y)
        return y


@tvm.transform.module_pass(opt_level=0)
def _pipeline(module, _context):
    names = "ToNonDataflow RemovePurityChecking CallTIRRewrite StaticPlanBlockMemory LowerAllocTensor"
    names += " KillAfterLastUse LowerRuntimeBuiltin ComputePrimValue VMShapeLower AttachGlobalSymbol"
    return tvm.transform.Sequential([getattr(relax.transform, name)() for name in names.split()])(module)


def export_tiny(cpu, path):
    """Compile it for a processor."""
    export(tvm.compile(_Module, target=tvm.target.Target(cpu.llvm), relax_pipeline=_pipeline), cpu, path)
    return path


def reference(x):
    """The same in numpy."""
    return np.maximum(x @ WEIGHTS, 0)


def kernel_alone(cpu):
    """A compiled module of one kernel, y = 2 x for four numbers, without a virtual machine."""

    @T.prim_func
    def twice(x: T.Buffer((4,), "float32"), y: T.Buffer((4,), "float32")):
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        for i in range(4):
            y[i] = x[i] + x[i]

    return tvm.compile(tvm.IRModule({"twice": twice}), target=tvm.target.Target(cpu.llvm))


def export_sums(cpu, path, batch):
    """For uint8 clips [batch, 2, 4, 4, 3]: the sum of each colour's pixels as three logits."""

    @T.prim_func(private=True)
    def sums(x: T.Buffer((batch, 2, 4, 4, 3), "uint8"), y: T.Buffer((batch, 3), "float32")):
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        for n in T.parallel(batch):
            for c in range(3):
                y[n, c] = T.float32(0)
                for i in range(32):
                    y[n, c] = y[n, c] + T.Cast("float32", x[n, i // 16, i // 4 % 4, i % 4, c])

    builder = relax.BlockBuilder()
    clips = relax.Var("clips", relax.TensorType((batch, 2, 4, 4, 3), "uint8"))
    with builder.function("main", [clips]):
        with builder.dataflow():
            kernel = builder.add_func(sums, "sums")
            called = relax.call_tir(kernel, [clips], relax.TensorType((batch, 3), "float32"))
            result = builder.emit_output(builder.emit(called))
        builder.emit_func_output(result)
    target = tvm.target.Target(cpu.llvm)
    export(tvm.compile(builder.get(), target=target, relax_pipeline=_pipeline), cpu, path)
    return path

"""The TVM target: what it can do on a device, and from a canonical graph to a module on disk."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgevid.contract import Artifact, Capability, CompileOptions, Device, Precision, RunSettings
from edgevid.errors import ConfigError, TargetError
from edgevid.targets._artifact import describe
from edgevid.targets._example import write_example
from edgevid.targets._install import installed_version, require
from edgevid.targets._schemes import SCHEMES
from edgevid.targets.tvm.cpus import Cpu, cpu

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgevid.targets._session import CheckedSession

__all__ = ["TvmTarget", "cpu_of"]

_RUNNER = "cpp"
_EXAMPLE = """
import tvm  # TVM_USE_RUNTIME_LIB=1 in the environment leaves its compiler out

machine = tvm.runtime.load_module(str(here / {entry!r}))["vm_load_executable"]()
machine["vm_initialization"](1, 0, 2)  # a CPU, the first one, pooled memory
logits = machine["main"](tvm.runtime.tensor(clip)).numpy()
"""
_STREAM_EXAMPLE = """
import tvm  # TVM_USE_RUNTIME_LIB=1 in the environment leaves its compiler out

machine = tvm.runtime.load_module(str(here / {entry!r}))["vm_load_executable"]()
machine["vm_initialization"](1, 0, 2)  # a CPU, the first one, pooled memory
tensor = tvm.runtime.tensor
caches = [tensor(np.full(*cache)) for cache in {caches}]
{each}:
    logits = machine["main"](tensor(frame[None, None]), {gates}*caches).numpy()  # and writes the caches
"""


class TvmTarget:
    """CPUs by TVM's code generator, with kernels that read a shifted frame where it lies."""

    name = "tvm"

    def probe(self, device: Device) -> Capability:
        """Float32 and int8 on every CPU; other CPUs' artifacts are compiled here, not executed."""
        version = installed_version("apache-tvm")
        offered: tuple[Precision, ...] = ("fp32", "fp16", "int8")
        missing: dict[Precision, str] = {"bf16": "no kernel of this target computes in bf16"}
        missing |= {
            kind: f"{device.title} has no {kind}" for kind in offered if kind not in device.precisions
        }
        reason = "" if version else "apache-tvm is not installed: pip install 'edgevid[tvm]'"
        if version and not device.is_this_machine:
            reason = "compile only: run it there, or with --on rpc://..."
        return Capability(
            compiles=bool(version),
            executes=bool(version) and device.is_this_machine,
            reason=reason,
            version=version,
            precisions=tuple(kind for kind in offered if kind in device.precisions),
            missing=missing,
            opset=20,
            forbidden_ops=frozenset(),
            lowerings=("function",),
            batch_lowerings=("function",),
            stream_lowerings=("function",),
            scheme=SCHEMES.get(self.name) if "int8" in device.precisions else None,
            tunes=True,
            runners=(_RUNNER,),
        )

    def default_lowering(self, graph: ir.Model, device: Device, precision: Precision, batch: int) -> str:
        """None: kernels read the shifted frame directly."""
        return "function"

    def compile(self, graph: ir.Model, options: CompileOptions) -> Artifact:
        """Write ``model.so``.

        Raises:
            TargetError: an operation that neither a kernel nor TVM computes, or a runner for frames.
            MissingDependencyError: TVM or the (cross-)compiler that links is not installed.
        """
        require("tvm", "tvm")
        from edgevid.targets.tvm.assemble import assemble, build
        from edgevid.targets.tvm.byte_type import with_byte_type
        from edgevid.targets.tvm.cross import export
        from edgevid.targets.tvm.half_weights import with_half_weights
        from edgevid.targets.tvm.kernels._dot import activation_type
        from edgevid.targets.tvm.layer_list import list_layers, save_list
        from edgevid.targets.tvm.layer_times import fallback_notes
        from edgevid.targets.tvm.read_graph import read_graph
        from edgevid.targets.tvm.runner import build_runner
        from edgevid.targets.tvm.streaming import as_held
        from edgevid.targets.tvm.tiles import choose_tiles

        if options.runner and options.streaming is not None:
            raise TargetError(
                "the runner takes whole clips, not single frames",
                where=f"--runner {options.runner}",
                fix="leave --runner out, and run the streaming network by edgevid or as its example.py does",
            )
        machine = cpu_of(options.device)
        artifact = describe(self.name, "model.so", graph, options)
        network = with_byte_type(read_graph(graph, machine.lanes), activation_type(machine.dot))
        if artifact.streaming is not None:
            artifact = replace(artifact, streaming=as_held(artifact.streaming, network))
        if options.precision == "fp16":
            network = with_half_weights(network)
        choice = choose_tiles(network, machine, options.tuning, here=options.device.is_this_machine)
        module = assemble(network, machine, artifact.output.shape, choice.kernels)
        export(build(module, machine), machine, artifact.path)
        save_list(list_layers(network, module), artifact.folder)
        _write_example(artifact)
        if options.runner == _RUNNER:
            build_runner(artifact.folder, machine)
        return replace(
            artifact, notes=(*choice.notes, *fallback_notes(artifact, here=options.device.is_this_machine))
        )

    def open(self, artifact: Artifact, settings: RunSettings | None = None) -> CheckedSession:
        """Open on this machine's CPU, or on the board that the settings name.

        Raises:
            TargetError: no such board, or it refuses.
        """
        settings = settings or artifact.settings
        if settings.on:
            from edgevid.targets.tvm.rpc import RpcSession
            from edgevid.targets.tvm.tracker import parse_place

            board = RpcSession(artifact, parse_place(settings.on), settings)
            if artifact.streaming is None:
                return board
            from edgevid.targets.tvm.streaming import BoardStreamingSession

            return BoardStreamingSession(board)
        from edgevid.targets.tvm.session import TvmSession

        session = TvmSession(artifact, settings)
        if artifact.streaming is None:
            return session
        from edgevid.targets.tvm.streaming import TvmStreamingSession

        return TvmStreamingSession(session)


def _write_example(artifact: Artifact) -> None:
    if artifact.streaming is None:
        write_example(artifact, _EXAMPLE)
        return
    gates = "tensor({valid}), " if artifact.streaming.gates else ""
    caches = [(cache.shape, cache.fill, cache.dtype) for cache in artifact.streaming.caches]
    write_example(artifact, _STREAM_EXAMPLE.replace("{gates}", gates), caches=caches)


def cpu_of(device: Device) -> Cpu:
    """The processor that a device's profile names.

    Raises:
        ConfigError: none, or one that is not known.
    """
    if not device.cpu:
        raise ConfigError("the profile names no CPU", where=device.name, fix='give cpu = "..." in its file')
    return cpu(device.cpu)

"""Write the folder that a board builds its engine from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid.contract import TOLERANCES, Artifact, Cache, CompileOptions, Precision, Streaming
from edgevid.errors import GraphError
from edgevid.graph.verify import MIN_SQNR
from edgevid.targets._artifact import VALID, describe
from edgevid.targets.tensorrt.board.calibration_cache import as_float_and_ranges, write_cache
from edgevid.targets.tensorrt.board.memory import check_memory, workspace_of
from edgevid.targets.tensorrt.board.trtexec import trtexec_script
from edgevid.targets.tensorrt.boards import Board

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["BUILDER", "CACHE", "NETWORK", "SETTINGS", "write_board"]

NETWORK, CACHE, SETTINGS, BUILDER = "model.onnx", "calibration.cache", "build.json", "build_engine.py"

_FEW_NAMES = 3
_TRTEXEC = {"float32": "fp32", "float16": "fp16", "int8": "int8"}
"""Words of trtexec for types."""


def write_board(graph: ir.Model, options: CompileOptions, board: Board) -> Artifact:
    """Write the network, ranges for int8, and the programs that build an engine of them on the board.

    Types are chosen there: TensorRT 8 has no other way, and 10 keeps it, so that one float32 network serves
    all releases of a board.

    Args:
        graph: opset 13, float32 input and output, static shapes; with Q/DQ pairs if int8.
        options: their folder is filled.
        board: as the device's profile names it.

    Raises:
        GraphError: it is not in opset 13 or does not take floats, or its int8 is none for TensorRT.
        TargetError: the board has too little memory.
    """
    import onnx_ir

    from edgevid.targets.tensorrt.half import float_nodes

    _check(graph)
    artifact = describe("tensorrt", NETWORK, graph, options)
    # build_engine.py takes frames as they are, and makes floats of them for TensorRT 8, which has no uint8.
    artifact = replace(artifact, input=replace(artifact.input, dtype="uint8"))
    notes = []
    steps: dict[str, float] = {}
    if options.precision == "int8":
        graph, steps = as_float_and_ranges(graph)
        write_cache(options.folder / CACHE, steps, board.stacks[0].tensorrt)
        notes += _without_range(graph, steps)
    if options.streaming is not None:
        artifact = replace(artifact, streaming=_held(options.streaming, options.precision, steps))
    kept = list(float_nodes(graph)) if options.precision != "fp32" else []
    need = check_memory(graph, board)
    artifact.path.write_bytes(onnx_ir.to_proto(graph).SerializeToString())
    stacks = " or ".join(dict.fromkeys(stack.name or f"TensorRT {stack.tensorrt}" for stack in board.stacks))
    settings = {
        "network": NETWORK,
        "calibration_cache": CACHE if steps else None,
        "device": options.device.name,
        "board": board.title,
        "stacks": stacks,
        "tensorrt": list(dict.fromkeys(stack.tensorrt for stack in reversed(board.stacks))),
        "capabilities": list(board.capabilities),
        "shared_memory": board.shared,
        "memory_bytes": need,
        "workspace_bytes": workspace_of(board),
        "precision": options.precision,
        "batch": options.batch,
        "streaming": _streaming_settings(artifact.streaming, steps),
        "float_layers": kept,
        "tolerance": TOLERANCES[options.precision],
        "least_sqnr": MIN_SQNR,
        "allowed": _allowed(options),
    }
    (options.folder / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    shutil.copyfile(Path(__file__).with_name(BUILDER), options.folder / BUILDER)
    script = options.folder / "trtexec.sh"
    formats = _formats(artifact.streaming)
    text = trtexec_script(options.precision, workspace_of(board), kept, formats)
    script.write_text(text, encoding="utf-8")
    script.chmod(0o755)
    (options.folder / "README.txt").write_text(_readme(board, options, stacks), encoding="utf-8")
    if kept:
        notes.append(f"layers held in float32: {len(kept)}")
    notes.append(
        f"copy the bundle to the board and run artifacts/{options.folder.name}/{BUILDER} with its python3; "
        f"about {(need + workspace_of(board)) >> 20} MB of memory are needed there"
    )
    return replace(artifact, notes=tuple(notes))


def _held(streaming: Streaming, precision: Precision, steps: Mapping[str, float]) -> Streaming:
    """With caches as the engine holds them: bytes where these have a step, else float16 where layers may be.

    What a step writes the next one reads, so that both ends of a cache must stand for the same numbers.
    """

    def kind(cache: Cache) -> str:
        if precision == "int8" and cache.name in steps and steps[cache.name] == steps.get(cache.next):
            return "int8"
        return "float32" if precision == "fp32" else "float16"

    return replace(streaming, caches=tuple(replace(cache, dtype=kind(cache)) for cache in streaming.caches))


def _streaming_settings(streaming: Streaming | None, steps: Mapping[str, float]) -> dict[str, object] | None:
    """With the step of each cache of bytes, which TensorRT wants beside the calibration cache."""
    if streaming is None:
        return None
    of_bytes = {cache.name: steps[cache.name] for cache in streaming.caches if cache.dtype == "int8"}
    return {"valid": VALID, **asdict(streaming), "steps": of_bytes}


def _formats(streaming: Streaming | None) -> tuple[str, str]:
    """Types of the network's inputs and of its outputs, as trtexec wants them; empty if all are float32."""
    if streaming is None or all(cache.dtype == "float32" for cache in streaming.caches):
        return "", ""
    caches = [f"{_TRTEXEC[cache.dtype]}:chw" for cache in streaming.caches]
    given = ["fp32:chw"] * (1 + bool(streaming.gates))
    return ",".join([*given, *caches]), ",".join(["fp32:chw", *caches])


def _check(graph: ir.Model) -> None:
    opset = graph.opset_imports.get("")
    if opset != 13 or any(value.dtype is None or value.dtype.name != "FLOAT" for value in graph.graph.inputs):
        raise GraphError(
            f"a graph of opset {opset} whose input is {graph.graph.inputs[0].dtype}",
            where=graph.graph.name,
            fix="write it in opset 13 with a float input: edgevid.targets.tensorrt.opset13",
        )


def _without_range(graph: ir.Model, steps: dict[str, float]) -> list[str]:
    """A note on layers that TensorRT leaves in float, since the range of what they compute is not known."""
    found = [
        str(node.name)
        for node in graph.graph
        if node.op_type in ("Conv", "Gemm")
        if any(str(value.name) not in steps for value in (node.inputs[0], *node.outputs) if value is not None)
    ]
    if not found:
        return []
    more = f" and {len(found) - _FEW_NAMES} more" if len(found) > _FEW_NAMES else ""
    return [f"not int8, since a tensor beside them has no range: {', '.join(found[:_FEW_NAMES])}{more}"]


def _allowed(options: CompileOptions) -> str:
    if options.precision == "int8":
        return f"int8 needs {MIN_SQNR:.0f} dB"
    return f"{options.precision} allows {TOLERANCES[options.precision]:.0e}"


def _readme(board: Board, options: CompileOptions, stacks: str) -> str:
    given, frames = f"{options.batch} clips", "[N,T,H,W,C]"
    if options.streaming is not None:
        given, frames = "one frame", "[1,1,H,W,C], and the caches"
    return f"""A network for {board.title}, {options.precision}, {given} a call.
It was compiled, not executed. The engine is built on the board itself: engines run nowhere else.

Needed there: {stacks}; Python 3, numpy, TensorRT's Python module.

1. Copy the whole bundle, since the check needs its golden data:  scp -r BUNDLE BOARD:
2. Fix the clocks for measurements:  sudo nvpmodel -m 0 && sudo jetson_clocks
3. python3 BUNDLE/artifacts/{options.folder.name}/{BUILDER} -o engine

It builds, holds the engine to the golden data (a mismatch leaves no engine), and measures.
  --sustained 10           run on for ten minutes, to see throttling
  --eval clips/ -o out/    logits of clips that `edgevid pack` wrote, for `edgevid compare --logits`
  --help                   everything else

{BUILDER:<18} the program; it needs nothing of edgevid
{NETWORK:<18} float32, opset 13; input: frames {frames} as floats from 0 to 255
{"calibration.cache":<18} ranges, where the precision is int8
{SETTINGS:<18} what {BUILDER} reads
{"trtexec.sh":<18} the same with NVIDIA's trtexec: timing alone, no check
"""

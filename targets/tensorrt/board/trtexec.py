"""The command line that builds and times a network with NVIDIA's trtexec as ``build_engine.py`` does."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from edgevid.contract import Precision

__all__ = ["trtexec_script"]

_SCRIPT = """#!/bin/sh
# Builds and times the network with NVIDIA's trtexec; writes model.engine and times.json here.
# What it computes is not checked: build_engine.py does that.
# Input is random, and the clips' conversion to float is not part of the times.
set -e
folder=$(cd "$(dirname "$0")" && pwd)
trtexec=${{TRTEXEC:-/usr/src/tensorrt/bin/trtexec}}
# Its first line names the version: [TensorRT v8201] is 8.2.1, v100300 is 10.3.0.
version=$("$trtexec" --help | sed -n 's/.*\\[TensorRT v\\([0-9]*\\)\\].*/\\1/p' | head -n 1)
case "$version" in
8???) set -- --workspace={megabytes} "$@" ;;
10????) set -- --memPoolSize=workspace:{megabytes} "$@" ;;
*) echo "TensorRT 8 or 10 is wanted, $trtexec is of version '$version'" >&2; exit 1 ;;
esac
{more}exec "$trtexec" --onnx="$folder/model.onnx" --saveEngine=model.engine {flags} \\
  --streams=1 --warmUp=1000 --iterations=200 --duration=0 --avgRuns=1 --percentile=99 \\
  --exportTimes=times.json "$@"
"""

_CACHE = """# TensorRT leaves out a calibration cache of another version.
sed "1s/.*/TRT-$version-EntropyCalibration2/" "$folder/calibration.cache" > calibration.cache
"""

_KEPT = """# Layers that float16 would spoil; trtexec can hold them to float32 since 8.4.
[ "$version" -lt 8400 ] || set -- --precisionConstraints=obey \\
  --layerPrecisions={layers} \\
  --layerOutputTypes={layers} "$@"
"""


def trtexec_script(
    precision: Precision, workspace: int, float_layers: Sequence[str], formats: tuple[str, str] = ("", "")
) -> str:
    """A shell script for trtexec of TensorRT 8 and 10.

    Every flag is given whose default differs between releases (trtexec's options in TensorRT's repository,
    samples/common/sampleOptions, releases 8.2 and 10; "Migrating trtexec Usage from TensorRT 8.x to 10.x").

    Args:
        precision: what the builder may use.
        workspace: bytes of the builder.
        float_layers: names of layers that stay in float32.
        formats: of the network's inputs and of its outputs; float32 if empty.
    """
    flags, more = ["--noTF32"], ""
    if precision != "fp32":
        flags.append("--fp16")
    names = ("--inputIOFormats", "--outputIOFormats")
    flags += [f"{name}={given}" for name, given in zip(names, formats, strict=True) if given]
    if precision == "int8":
        flags += ["--int8", "--calib=calibration.cache"]
        more += _CACHE
    if float_layers and precision != "fp32":
        more += _KEPT.format(layers=shlex.quote(",".join(f"{name}:fp32" for name in float_layers)))
    return _SCRIPT.format(megabytes=workspace >> 20, more=more, flags=" ".join(flags))

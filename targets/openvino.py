"""OpenVINO 2026 on x86-64 CPUs, Intel Xeons first.

Precisions on such a CPU: ``fp32`` is float32 throughout (the runtime's own default is bf16
wherever the CPU has it, so the hint is always set); ``bf16`` is bf16 arithmetic; ``fp16`` keeps
the weights in half precision on disk and computes in float32, since these CPUs have no
half-precision convolution.
"""

from __future__ import annotations

import os
import statistics
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from threading import local
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import (
    Artifact,
    Capability,
    CompileOptions,
    Device,
    Layer,
    LayerTime,
    Precision,
    RunSettings,
    Scheme,
    Streaming,
)
from edgevid.errors import LoweringError, TargetError
from edgevid.targets._artifact import describe
from edgevid.targets._blocked_layout import (
    BLOCKED,
    fits_blocked_layout,
    force_blocked_layout,
    has_blocked_layout,
)
from edgevid.targets._example import write_example
from edgevid.targets._install import installed_version, require
from edgevid.targets._machine import this_processor
from edgevid.targets._openvino_apart import keep_moved_channels_apart
from edgevid.targets._openvino_caches import first_cache, with_caches
from edgevid.targets._openvino_model import config_of, kernels_of, layers_of, open_model
from edgevid.targets._openvino_one_cache import fill_of_one, with_one_cache
from edgevid.targets._openvino_pixels import normalize_rows
from edgevid.targets._openvino_split import split_convolutions_of_caches
from edgevid.targets._openvino_streaming import EXAMPLE as STREAM_EXAMPLE
from edgevid.targets._openvino_streaming import OpenVinoStreamingSession
from edgevid.targets._schemes import SCHEMES
from edgevid.targets._session import CheckedSession, refuse_boards

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["OpenVinoSession", "OpenVinoTarget", "target"]

_EXAMPLE = """
import openvino

settings = {settings!r}
model = openvino.Core().compile_model(here / {entry!r}, "CPU", settings)
logits = model(clip)[0]
"""


_VNNI = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
_ISA_WITHOUT_VNNI = frozenset({"SSE41", "AVX", "AVX2", "AVX512_CORE"})
"""Values of oneDNN's ONEDNN_MAX_CPU_ISA that keep it from the instructions above."""

_IN_PLACE = f"volume_split_conv{BLOCKED}"
"""The lowering that is made for layouts blocked by 16 channels, in them."""

_ONE_CLIP = ("negative_pad",)
_ANY_CLIPS = ("fused_slice_concat", "fused_pad", "split_conv", "volume_split_conv", "slice_concat")
_PLAIN = ("none", "volume")
_STREAMS = {"one_cache": with_one_cache, "cache_inputs": with_caches}
"""By name; the first one that does not refuse the caches is the default."""

_MOST_CLIPS_APART = 8
"""Clips that are by default computed one by one: each is a copy of the graph, which takes time to open."""


class OpenVinoSession(CheckedSession):
    """A compiled model, and an inference request for each thread that calls."""

    shares_streams = True
    """Runs of several threads go side by side, as many as it has streams. Two sessions of one thread each
    would not: the plugin binds both to one processor."""

    def __init__(self, artifact: Artifact, settings: RunSettings) -> None:
        super().__init__(artifact)
        self._settings = settings
        self._model = open_model(artifact, settings)
        # A request serves one run at a time.
        self._mine = local()

    def _run(self, clip: NDArray[Any]) -> NDArray[np.float32]:
        if not hasattr(self._mine, "request"):
            self._mine.request = self._model.create_infer_request()
        result = self._mine.request.infer([clip], share_inputs=True, share_outputs=True)
        return np.array(result[0], np.float32)

    def _release(self) -> None:
        del self._mine, self._model

    def kernels(self) -> Counter[tuple[str, str]]:
        """See `kernels_of`."""
        return kernels_of(self._model)

    def layers(self) -> tuple[Layer, ...]:
        """Each convolution and dense layer with the precision that its primitive is named after."""
        return layers_of(self._model)

    def layer_times(self, clip: NDArray[Any], runs: int) -> tuple[LayerTime, ...]:
        """By a second model that is compiled to count: the counters slow every run down."""
        openvino = require("openvino", "openvino")
        config = {**config_of(self.artifact.precision, self._settings), "PERF_COUNT": True}
        request = openvino.Core().compile_model(str(self.artifact.path), "CPU", config).create_infer_request()
        times: dict[tuple[str, str, str], list[float]] = {}
        for _ in range(runs + 1):
            request.infer([clip], share_inputs=True)
            for info in request.profiling_info:
                if info.status == info.Status.EXECUTED:
                    which = (info.node_name, info.node_type, info.exec_type)
                    times.setdefault(which, []).append(1e3 * info.real_time.total_seconds())
        return tuple(LayerTime(*which, statistics.median(own[1:] or own)) for which, own in times.items())


class OpenVinoTarget:
    """OpenVINO's CPU plugin."""

    name = "openvino"

    def probe(self, device: Device) -> Capability:
        """Precisions are the device's; the runtime adds none and takes none away."""
        version = installed_version("openvino")
        offered: tuple[Precision, ...] = ("fp32", "bf16", "fp16", "int8")
        have = {*device.precisions, *device.emulated}
        missing: dict[Precision, str] = {
            kind: f"{device.title} has no {kind} arithmetic" for kind in offered if kind not in have
        }
        return Capability(
            compiles=bool(version),
            executes=bool(version),
            reason="" if version else "openvino is not installed: pip install 'edgevid[openvino]'",
            version=version,
            precisions=tuple(kind for kind in offered if kind in have),
            missing=missing,
            opset=20,
            # Its ONNX reader refuses local functions.
            forbidden_ops=frozenset({"edgevid::Shift"}),
            lowerings=_with_layouts((*_ONE_CLIP, *_ANY_CLIPS), device),
            batch_lowerings=_with_layouts(_ANY_CLIPS, device),
            plain_forms=_with_layouts(_PLAIN, device),
            stream_lowerings=tuple(_STREAMS),
            measures_lowerings=True,
            scheme=_scheme(device) if "int8" in have else None,
        )

    def default_lowering(self, graph: ir.Model, device: Device, precision: Precision, batch: int) -> str:
        """The cheapest lowering of a canonical graph, as measured on one core with AVX-512.

        Against OpenVINO's own no-shift network, ResNet-50 (p = 1/4, 8 frames of 224x224) costs 2 to 3 %
        less as ``volume_split_conv`` in a blocked layout, in float32 and in bf16, and 6 to 8 % more as
        ``negative_pad``. MobileNetV2 costs 0 to 4 % more as ``negative_pad``; where forms are measured,
        blocked ones win there too, in float32 (see `fits_blocked_layout`).
        """
        from edgevid.graph.split_conv import gains_by_splitting

        capability = self.probe(device)
        if precision == "int8":
            # Zeros that are concatenated as a constant were seen to leave a convolution in float32.
            return "negative_pad" if batch == 1 else "fused_pad"
        blocked = fits_blocked_layout(graph, device, precision) and gains_by_splitting(graph)
        if blocked and batch <= _MOST_CLIPS_APART:
            return _IN_PLACE
        return capability.lowerings[0] if batch == 1 else capability.batch_lowerings[0]

    def compile(self, graph: ir.Model, options: CompileOptions) -> Artifact:
        """Write ``model.xml`` and ``model.bin``.

        Raises:
            LoweringError: the device has no kernels for the layout that the lowering's name asks for, or
                streaming networks have no such form.
            TargetError: OpenVINO cannot read the graph or write the files.
        """
        import onnx_ir

        openvino = require("openvino", "openvino")
        forced = options.lowering.endswith(BLOCKED)
        if forced and not has_blocked_layout(options.device, options.precision):
            raise LoweringError(
                f"{options.device.title} has no convolutions in blocked layouts in {options.precision}",
                where=options.lowering,
                fix=f"take {options.lowering.removesuffix(BLOCKED)}, or auto",
            )
        if options.streaming is not None and options.lowering not in _STREAMS:
            raise LoweringError(
                f"unknown form of a streaming network: {options.lowering!r}", fix=" or ".join(_STREAMS)
            )
        artifact = describe(self.name, "model.xml", graph, options)
        if options.streaming is not None:
            graph = _streamable(graph, options.streaming)
        graph = normalize_rows(graph)
        try:
            model = openvino.Core().read_model(onnx_ir.to_proto(graph).SerializeToString())
            if options.streaming is not None:
                written = _STREAMS[options.lowering]
                model, streaming = written(model, options.streaming, options.precision)
                artifact = replace(artifact, streaming=streaming)
            openvino.save_model(model, str(artifact.path), compress_to_fp16=options.precision == "fp16")
            if forced:
                force_blocked_layout(artifact.path)
        except RuntimeError as error:
            raise TargetError(f"OpenVINO cannot convert the graph: {error}", where=artifact.path) from error
        _write_example(artifact)
        return artifact

    def open(
        self, artifact: Artifact, settings: RunSettings | None = None
    ) -> OpenVinoSession | OpenVinoStreamingSession:
        """Open on this machine's CPU; compiling its kernels takes a second or two.

        Raises:
            TargetError: OpenVINO refuses the artifact, or sums of its products would saturate here.
        """
        settings = settings or artifact.settings
        refuse_boards(self.name, settings)
        _check_weights(artifact)
        if artifact.streaming is not None:
            return OpenVinoStreamingSession(artifact, settings)
        return OpenVinoSession(artifact, settings)


def _streamable(graph: ir.Model, streaming: Streaming) -> ir.Model:
    """Without functions, and with little to copy."""
    from edgevid.graph.lower import lower

    plain, caches = lower(graph, "fused_slice_concat"), {cache.name for cache in streaming.caches}
    return split_convolutions_of_caches(keep_moved_channels_apart(plain, caches), caches)


def _write_example(artifact: Artifact) -> None:
    settings = config_of(artifact.precision, artifact.settings)
    if artifact.streaming is None:
        write_example(artifact, _EXAMPLE, settings=settings)
        return
    gates = ", 1: {valid}" if artifact.streaming.gates else ""
    body = STREAM_EXAMPLE.replace("{gates}", gates)
    values: dict[str, Any] = {"settings": settings, "first": first_cache(artifact.streaming)}
    if artifact.lowering == "one_cache":
        values["fills"] = fill_of_one(artifact.streaming.caches)
    write_example(artifact, body, **values)


def _with_layouts(names: tuple[str, ...], device: Device) -> tuple[str, ...]:
    """Each lowering in the layout that the plugin chooses, then in a blocked one where the device has it."""
    forced = tuple(f"{name}{BLOCKED}" for name in names) if "avx512f" in device.isa else ()
    return (*names, *forced)


def _scheme(device: Device) -> Scheme:
    return replace(SCHEMES["openvino"], weight_bits=_weight_bits(device.isa, here=device.is_this_machine))


def _weight_bits(isa: Collection[str], *, here: bool) -> Literal[7, 8]:
    """7 where the CPU sums products of bytes in 16 bits, which saturate."""
    # oneDNN reads the second name where the first one is not set.
    allowed = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA", "")
    if here and allowed.upper() in _ISA_WITHOUT_VNNI:
        return 7
    return 7 if _VNNI.isdisjoint(isa) else 8


def _check_weights(artifact: Artifact) -> None:
    """Raise `TargetError` if sums of products would saturate here without a word."""
    most = _weight_bits(this_processor().flags, here=True)
    if artifact.weight_bits > most:
        raise TargetError(
            f"the weights have {artifact.weight_bits} bits, and this processor sums their products in 16 "
            "bits, which saturate",
            where=artifact.folder,
            fix=f"compile on this machine, for {most} bits; or unset ONEDNN_MAX_CPU_ISA and "
            "DNNL_MAX_CPU_ISA if they hide its instructions",
        )


def target() -> OpenVinoTarget:
    """The target of this module."""
    return OpenVinoTarget()

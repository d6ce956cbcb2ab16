"""Networks that take frame by frame: caches are read and written inside of the kernels, in place."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("tvm")

from boards import for_arm, tiles_by_default
from stream_graphs import answers, compiled_stream, displaced, in_int8, opened, stepped, unidirectional, video
from target_graphs import canonical, compiled, device_of

from edgevid import targets
from edgevid.contract import CompileOptions, Normalization, RunSettings
from edgevid.errors import TargetError
from edgevid.graph.export import export
from edgevid.graph.prelude import with_uint8_clips
from edgevid.graph.shift_op import replace_specs
from edgevid.graph.streaming import stream_graph
from edgevid.graph.verify import compare
from edgevid.models import NetworkConfig, ShiftConfig, build
from edgevid.shift import Move, ShiftSpec
from edgevid.targets._profiles import device as find_device
from edgevid.targets._schemes import SCHEMES
from edgevid.targets.tvm.byte_type import with_byte_type
from edgevid.targets.tvm.cpus import cpu
from edgevid.targets.tvm.kernels._dot import activation_type
from edgevid.targets.tvm.layer_list import load_list
from edgevid.targets.tvm.network import Convolution, Copy, Keep
from edgevid.targets.tvm.read_graph import read_graph
from edgevid.targets.tvm.records import Records, key_of
from edgevid.targets.tvm.tune import Host, tune

BACKBONES = ("resnet50", "mobilenet_v2")
PRECISIONS = ("fp32", "int8")


def graph_of(backbone, precision="fp32", shifts=unidirectional):
    graph = shifts(backbone)
    return graph if precision == "fp32" else in_int8(graph, SCHEMES["tvm"])


def stream_of(folder, backbone="resnet50", precision="fp32", shifts=unidirectional, **how):
    graph = graph_of(backbone, precision, shifts)
    return compiled_stream("tvm", folder, graph, precision=precision, **how)


@pytest.fixture(scope="module")
def stream_once(tmp_path_factory):
    """By backbone and precision, artifacts that several tests open."""
    return functools.cache(lambda *which: stream_of(tmp_path_factory.mktemp("stream"), *which))


def unmoved(backbone):
    """The same network without a shift."""
    return replace_specs(canonical(1, backbone), lambda spec: ShiftSpec(spec.segments))


def of_several_lags(backbone):
    """Shifts of channels from one frame before, and of others from two."""
    return replace_specs(
        canonical(1, backbone), lambda spec: ShiftSpec(spec.segments, (Move(0, 1, 1), Move(1, 2, 2)))
    )


def of_two_frames_before(backbone):
    return replace_specs(canonical(1, backbone), lambda spec: ShiftSpec(spec.segments, (Move(0, 1, 2),)))


def in_the_middle(backbone):
    """Channels move that are not the first ones."""
    return replace_specs(canonical(1, backbone), lambda spec: ShiftSpec(spec.segments, (Move(2, 4, 1),)))


def of_basic_blocks(_, placement="residual"):
    """Shifts before convolutions of 3 x 3, or before whole blocks, which read what is shifted twice."""
    torch.manual_seed(0)
    shift = ShiftConfig(direction="unidirectional", placement=placement)
    shape = {"classes": 5, "segments": 4, "size": 32, "blocks": (1, 2, 1, 1), "channels": (16,) * 5}
    network = build(NetworkConfig(backbone="resnet18", shift=shift, **shape)).eval()
    torch.nn.init.normal_(network.get_submodule("fc").weight)
    return with_uint8_clips(export(network, batch=1), Normalization())


def before_whole_blocks(backbone):
    return of_basic_blocks(backbone, "inplace")


@pytest.mark.parametrize(
    ("backbone", "precision", "shifts"),
    [
        ("resnet50", "fp32", unidirectional),
        ("mobilenet_v2", "int8", unidirectional),
        ("resnet50", "int8", of_two_frames_before),
        ("mobilenet_v2", "fp32", of_two_frames_before),
    ],
)
def test_a_frame_takes_the_same_layers_with_the_shift_and_without_it(backbone, precision, shifts):
    network = read_graph(stream_graph(graph_of(backbone, precision, shifts)).model, 8)
    plain = read_graph(stream_graph(graph_of(backbone, precision, unmoved)).model, 8)
    told = [type(layer.operation).__name__ for layer in network.layers]
    assert told == [type(layer.operation).__name__ for layer in plain.layers]
    keeping = [layer for layer in network.layers if getattr(layer.operation, "keeps", False)]
    assert [layer.inputs[1] for layer in keeping] == list(network.others)
    assert len(keeping) > 3


@pytest.mark.parametrize("backbone", [pytest.param("resnet50", marks=pytest.mark.slow), "mobilenet_v2"])
def test_the_module_calls_no_other_functions_than_without_the_shift(tmp_path, stream_once, backbone):
    artifacts = stream_once(backbone, "fp32"), stream_of(tmp_path, backbone, shifts=unmoved)
    mine, plain = ([layer.family for layer in load_list(artifact.folder)] for artifact in artifacts)
    assert mine == plain


@pytest.mark.parametrize("backbone", BACKBONES)
def test_caches_hold_the_moved_channels_and_not_a_byte_more(stream_once, backbone):
    wanted = stream_graph(unidirectional(backbone)).streaming.nbytes
    for precision, size in (("fp32", wanted), ("int8", wanted // 4)):
        artifact = stream_once(backbone, precision)
        assert artifact.streaming.nbytes == size
        with opened(artifact) as session:
            caches = session.stream()._caches
            assert sum(cache.numpy().nbytes for cache in caches) == size


@pytest.mark.parametrize("backbone", BACKBONES)
def test_in_int8_300_frames_get_the_answers_of_the_offline_network(stream_once, backbone):
    graph, frames = graph_of(backbone, "int8"), video(300)
    wanted = answers(graph, frames)
    with opened(stream_once(backbone, "int8")) as session:
        found = stepped(session, frames)
    assert (found.argmax(1) == wanted.argmax(1)).mean() >= 0.99
    assert sqnr(found, wanted) > 30
    assert sqnr(found[1:], answers(graph, frames[1:])) < sqnr(found, wanted) - 3


def sqnr(found, wanted):
    return 10 * np.log10(np.square(wanted).sum() / np.square(found - wanted).sum())


@pytest.mark.parametrize("precision", [pytest.param("fp32", marks=pytest.mark.slow), "int8"])
def test_a_clip_gets_the_answer_of_the_offline_artifact(tmp_path, stream_once, precision):
    graph, clip = graph_of("mobilenet_v2", precision), video(4, seed=3)[None]
    offline = compiled("tvm", tmp_path, precision=precision, graph=graph)
    with opened(offline) as whole, opened(stream_once("mobilenet_v2", precision)) as session:
        np.testing.assert_allclose(session.run(clip), whole.run(clip), rtol=1e-5, atol=1e-5)


OTHER_KINDS = {
    "lags": (of_several_lags, ["int8"]),
    "two before": (of_two_frames_before, []),
    "in the middle": (in_the_middle, ["fp32"]),
    "basic blocks": (of_basic_blocks, ["int8"]),
    "whole blocks": (before_whole_blocks, ["fp32"]),
    "displaced": (lambda _: displaced(), ["int8"]),
}
"""Shifts, and the precisions in which they are not slow tests."""


@pytest.mark.parametrize(
    ("shifts", "precision"),
    [
        pytest.param(
            shifts, precision, id=f"{name}-{precision}", marks=() if precision in quick else pytest.mark.slow
        )
        for name, (shifts, quick) in OTHER_KINDS.items()
        for precision in PRECISIONS
    ],
)
def test_shifts_of_other_kinds_stream_too(tmp_path, shifts, precision):
    graph, frames = graph_of("resnet50", precision, shifts), video(8)
    with opened(stream_of(tmp_path, "resnet50", precision, shifts)) as session:
        found = stepped(session, frames)
        again = stepped(session.stream(), frames)
    wanted = answers(graph, frames)
    if precision == "fp32":
        assert compare(found, wanted).max_relative <= 1e-4
    else:
        assert sqnr(found, wanted) > 30
    np.testing.assert_array_equal(again, found)


def test_in_int8_lookahead_answers_late_as_the_whole_video_would(tmp_path):
    graph, frames = in_int8(canonical(1, "resnet50"), SCHEMES["tvm"]), video(20)
    artifact = compiled_stream("tvm", tmp_path, graph, precision="int8", lookahead=True)
    assert {cache.dtype for cache in artifact.streaming.caches} <= {"uint8", "int8"}
    with opened(artifact) as session:
        found = stepped(session, frames)
    assert sqnr(found, answers(graph, frames)) > 30


def test_a_cache_that_another_layer_reads_last_is_written_behind_it():
    network = read_graph(stream_graph(canonical(1, "resnet50"), lookahead=True).model, 8)
    for cache in network.others[1:]:
        (written,) = [
            place
            for place, layer in enumerate(network.layers)
            if (isinstance(layer.operation, Keep) and layer.output == cache)
            or (isinstance(layer.operation, Convolution) and layer.operation.keeps and cache in layer.inputs)
        ]
        assert all(cache not in layer.inputs for layer in network.layers[written + 1 :])


def test_records_tell_convolutions_with_a_cache_apart():
    def convolutions(graph):
        layers = read_graph(stream_graph(graph).model, 8).layers
        return [layer.operation for layer in layers if isinstance(layer.operation, Convolution)]

    host, plain = cpu("host"), convolutions(unmoved("resnet50"))
    cached = [found for found in convolutions(unidirectional()) if found.cache is not None]
    assert not {key_of(found, host) for found in cached} & {key_of(found, host) for found in plain}
    # What was measured before there were caches holds on.
    assert all("cache" not in key_of(found, host) for found in plain)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_candidates_that_write_their_cache_are_verified_and_timed(tmp_path, precision):
    host = cpu("host")
    network = read_graph(stream_graph(graph_of("resnet50", precision)).model, host.lanes)
    if precision == "int8":
        network = with_byte_type(network, activation_type(host.dot))
    cached = [layer for layer in network.layers if getattr(layer.operation, "keeps", False)][:2]
    found = tune(replace(network, layers=tuple(cached)), host, (Host(),), Records(tmp_path / "r"))
    assert (found.measured, found.left) == (2, 0)
    assert set(found.kernels) == {layer.operation for layer in cached}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_two_threads_compute_what_one_computes(stream_once, precision):
    artifact, frames = stream_once("resnet50", precision), video(6)
    with opened(artifact) as one, targets.find("tvm").open(artifact, RunSettings(threads=2)) as two:
        np.testing.assert_array_equal(stepped(two, frames), stepped(one, frames))


def test_layers_are_listed_and_timed(stream_once):
    with opened(stream_once("resnet50", "fp32")) as session:
        layers = session.layers()
        times = session.layer_times(video(4)[None], 2)
    assert len([layer for layer in layers if layer.kind == "Conv"]) == 20
    assert {layer.name for layer in layers} <= {time.name for time in times}


def test_a_runner_for_single_frames_is_refused(tmp_path):
    stream = stream_graph(unidirectional())
    options = CompileOptions(device_of("tvm"), tmp_path, runner="cpp", streaming=stream.streaming)
    with pytest.raises(TargetError, match="takes whole clips") as refused:
        targets.find("tvm").compile(stream.model, options)
    assert "leave --runner out" in refused.value.fix


def test_pixels_are_the_only_thing_that_is_copied_in_int8():
    network = read_graph(stream_graph(graph_of("mobilenet_v2", "int8")).model, 8)
    copies = [layer for layer in network.layers if isinstance(layer.operation, Copy)]
    assert all(layer.operation.cache is None for layer in copies)
    assert next(layer.inputs for layer in copies) == (network.input,)


@for_arm
@pytest.mark.parametrize(
    ("board", "precision"),
    [
        ("cortex-a53", "int8"),
        pytest.param("raspberry-pi-5", "fp32", marks=pytest.mark.slow),
        pytest.param("raspberry-pi-5", "int8", marks=pytest.mark.slow),
        pytest.param("cortex-a53", "fp32", marks=pytest.mark.slow),
    ],
)
def test_on_a_board_the_caches_stay_there(tmp_path, emulated_board, board, precision):
    graph, frames = graph_of("mobilenet_v2", precision), video(5)
    with tiles_by_default():
        artifact = stream_of(tmp_path, "mobilenet_v2", precision, device=find_device(board))
    wanted = answers(graph, frames)
    settings = RunSettings(on=str(emulated_board))
    with targets.find("tvm").open(artifact, settings) as session:
        assert session.emulated
        beside = session.stream()
        found = stepped(session, frames)
        state = session.stream().save()
        np.testing.assert_array_equal(stepped(beside, frames), found)
        with pytest.raises(TargetError, match="emulated"):
            session.latencies_ms(frames[None], 1)
    assert sum(array.nbytes for array in state.caches) == artifact.streaming.nbytes
    if precision == "fp32":
        assert compare(found, wanted).max_relative <= 1e-4
    else:
        assert sqnr(found, wanted) > 30


@pytest.mark.parametrize(("shape", "dtype"), [((1, 1, 1, 1, 1), "float32"), (None, "int32")])
def test_the_kernel_refuses_a_cache_that_is_none_of_its_own(stream_once, shape, dtype):
    """What calls the module without edgevid may give it anything."""
    import tvm

    artifact = stream_once("mobilenet_v2", "fp32")
    with opened(artifact) as session:
        stream = session.stream()
        first = stream._caches[0].numpy()
        stream._caches[0] = tvm.runtime.tensor(np.zeros(shape or first.shape, dtype))
        with pytest.raises((TypeError, ValueError, RuntimeError), match="cache"):
            stream.step(video(1)[0])

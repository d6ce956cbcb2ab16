import numpy as np
import onnx_ir as ir
import pytest
from clip_graphs import CHANNELS, SIZE, clip_graph, opened, stepped
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevid.errors import GraphError
from edgevid.graph.retime import per_frame
from edgevid.graph.streaming import stream_graph
from edgevid.shift import Layout, Move, ShiftSpec

T = 4


def moves(times):
    """Disjoint moves of 8 channels whose steps along time are of ``times``."""
    steps = st.tuples(st.sampled_from(times), st.integers(-1, 1), st.integers(-1, 1)).filter(any)
    edges = st.lists(st.integers(0, CHANNELS), min_size=2, max_size=6, unique=True).map(sorted)
    return st.builds(
        lambda edges, steps: tuple(
            Move(start, stop, *step)
            for start, stop, step in zip(edges[::2], edges[1::2], steps, strict=False)
        ),
        edges,
        st.lists(steps, min_size=3, max_size=3),
    )


def networks(times):
    return st.lists(
        st.builds(ShiftSpec, st.just(T), moves(times), st.sampled_from(list(Layout))), min_size=1, max_size=3
    )


def video(length, seed=1):
    return np.random.default_rng(seed).normal(size=(length, CHANNELS, SIZE, SIZE)).astype(np.float32)


def offline(graph, frames):
    """The whole video as one clip."""
    (rows,) = opened(per_frame(graph, len(frames)))({"clips": frames[None]})
    return rows


@settings(max_examples=25, deadline=None, derandomize=True)
@given(networks([0, 1, 2]), st.integers(1, 9))
def test_step_by_step_it_computes_what_the_offline_network_does(specs, length):
    graph, frames = clip_graph(specs), video(length)
    np.testing.assert_allclose(stepped(stream_graph(graph), frames), offline(graph, frames), 1e-5, 1e-5)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(networks([-2, -1, 0, 1, 2]), st.integers(1, 9))
def test_with_lookahead_a_whole_video_is_one_clip(specs, length):
    graph, frames = clip_graph(specs), video(length)
    late = np.full(frames.shape[1:], 77, np.float32)
    found = stepped(stream_graph(graph, lookahead=True), frames, late=late)
    np.testing.assert_allclose(found, offline(graph, frames), 1e-5, 1e-5)


def past(channels=2, steps=1):
    return ShiftSpec(T, (Move(0, channels, steps),))


def test_300_frames_do_not_drift():
    graph, frames = clip_graph([past(), past()]), video(300)
    np.testing.assert_allclose(stepped(stream_graph(graph), frames), offline(graph, frames), 1e-5, 1e-5)


def test_a_cache_holds_the_moved_channels_and_no_more():
    streaming = stream_graph(clip_graph([past(2), past(3, steps=2)])).streaming
    assert [cache.shape for cache in streaming.caches] == [(1, 2, SIZE, SIZE), (2, 3, SIZE, SIZE)]
    assert streaming.nbytes == 4 * (2 + 2 * 3) * SIZE * SIZE
    assert (streaming.delay, streaming.gates, streaming.segments) == (0, (), T)


def test_lookahead_is_late_by_the_frames_it_looks_ahead_and_holds_each_block_back_once():
    both = ShiftSpec(T, (Move(0, 1, -1), Move(1, 2, 1)))
    streaming = stream_graph(clip_graph([both, both]), lookahead=True).streaming
    assert streaming.delay == 2
    # The block's input, which the skip connection waits with, and the frame before it of one channel.
    assert [cache.shape[:2] for cache in streaming.caches] == [(1, CHANNELS), (1, 1)] * 2


def test_a_network_that_looks_ahead_is_refused_with_the_ways_out():
    graph = clip_graph([past(), ShiftSpec(T, (Move(0, 2, -1),))])
    with pytest.raises(GraphError, match="1 frame ahead") as refused:
        stream_graph(graph)
    assert "--lookahead" in refused.value.fix
    assert "--window" in refused.value.fix


def test_a_network_without_a_shift_has_no_cache():
    graph, frames = clip_graph([ShiftSpec(T)]), video(3)
    stream = stream_graph(graph)
    assert stream.streaming.caches == ()
    np.testing.assert_allclose(stepped(stream, frames), offline(graph, frames), 1e-5, 1e-5)


def test_the_mean_over_the_frames_is_the_offline_answer():
    graph, frames = clip_graph([past(), past(3)]), video(T)
    (logits,) = opened(graph)({"clips": frames[None]})
    np.testing.assert_allclose(stepped(stream_graph(graph), frames).mean(0), logits[0], 1e-5, 1e-5)


@pytest.mark.parametrize("steps", [1, 2, -1, -2])
def test_a_shift_of_all_channels_has_no_cache_beside_that_of_what_moves(steps):
    graph, frames = clip_graph([past(CHANNELS, steps)]), video(5)
    stream = stream_graph(graph, lookahead=True)
    late = np.full(frames.shape[1:], 77, np.float32)
    np.testing.assert_allclose(stepped(stream, frames, late=late), offline(graph, frames), 1e-5, 1e-5)
    taken = [value.name for value in stream.model.graph.inputs if value.uses()]
    assert {cache.name for cache in stream.streaming.caches} <= set(taken)


def test_the_graph_that_was_given_stays_as_it_was():
    graph = clip_graph([past()])
    before = [node.name for node in graph.graph], graph.graph.inputs[0].shape
    stream_graph(graph)
    assert ([node.name for node in graph.graph], graph.graph.inputs[0].shape) == before


@pytest.mark.parametrize(
    ("behind", "told"),
    [
        ("position", "differs from frame to frame"),
        ("softmax over frames", "along time"),
        ("frames joined with channels", "joins frames"),
        ("first frame twice", "a Slice of frames"),
        ("cumulated", "CumSum"),
    ],
)
def test_what_mixes_frames_otherwise_is_refused_by_name(behind, told):
    with pytest.raises(GraphError, match=told) as refused:
        stream_graph(clip_graph([past()], behind=behind))
    assert refused.value.where
    assert "--window" in refused.value.fix


def test_what_is_done_to_the_average_is_done_to_each_frame():
    graph, frames = clip_graph([past()], tail="Identity"), video(T)
    (logits,) = opened(graph)({"clips": frames[None]})
    np.testing.assert_allclose(stepped(stream_graph(graph), frames).mean(0), logits[0], 1e-5, 1e-5)


@pytest.mark.parametrize("kind", ["Mul", "Div"])
def test_products_of_averages_are_refused_since_their_mean_is_another(kind):
    graph = clip_graph([past()])
    (logits,) = graph.graph.outputs
    both = ir.node(kind, [logits, logits], name="both")
    both.outputs[0].name, both.outputs[0].type, both.outputs[0].shape = "made", logits.type, logits.shape
    graph.graph.append(both)
    graph.graph.outputs[0] = both.outputs[0]
    with pytest.raises(GraphError, match=f"{kind} by what depends on the clip"):
        stream_graph(graph)


def test_a_softmax_behind_the_average_is_refused():
    with pytest.raises(GraphError, match="Relu behind the average"):
        stream_graph(clip_graph([past()], tail="Relu"))

"""Small canonical graphs of one clip with any shifts, without PyTorch."""

import numpy as np
import onnx_ir as ir
import onnxruntime
from onnx_ir import tape

from edgevid.graph.shift_op import OPSET, attach_functions, spec_attributes
from edgevid.shift import Layout

CHANNELS, SIZE, CLASSES = 8, 4, 5


def clip_graph(specs, *, segments=4, seed=0, behind="", tail=""):
    """``clips`` [1, T, 8, 4, 4] to ``logits`` [1, 5]: residual blocks of a shift and a convolution each.

    Shifts of volumes stand between two Transposes. ``behind`` names an operation on the stacked frames,
    before the mean over rows and columns, and ``tail`` one behind the average over frames.
    """
    random = np.random.default_rng(seed)
    steps, constants = tape.Tape(), []
    clips = _value("clips", [1, segments, CHANNELS, SIZE, SIZE])

    def constant(array):
        name = f"constant{len(constants)}"
        tensor = ir.tensor(np.asarray(array), name=name)
        constants.append(
            ir.Value(name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=tensor.shape)
        )
        return constants[-1]

    def op(kind, inputs, shape, domain="", **attributes):
        value = steps.op(kind, inputs, attributes, domain=domain, name=f"{kind}{len(steps.nodes)}")
        value.name, value.type, value.shape = f"value{len(steps.nodes)}", clips.type, ir.Shape(shape)
        return value

    frames = [segments, CHANNELS, SIZE, SIZE]
    volume = [1, CHANNELS, segments, SIZE, SIZE]
    x = op("Reshape", [clips, constant(frames)], frames)
    for spec in specs:
        y = x
        if spec.layout is Layout.VOLUME:
            y = op("Reshape", [y, constant([1, *frames])], [1, *frames])
            y = op("Transpose", [y], volume, perm=[0, 2, 1, 3, 4])
        y = op("Shift", [y], y.shape.numpy(), "edgevid", **spec_attributes(spec))
        if spec.layout is Layout.VOLUME:
            y = op("Transpose", [y], [1, *frames], perm=[0, 2, 1, 3, 4])
            y = op("Reshape", [y, constant(frames)], frames)
        weights = random.normal(size=(CHANNELS, CHANNELS, 3, 3)).astype(np.float32) / 5
        bias = random.normal(size=CHANNELS).astype(np.float32)
        y = op("Conv", [y, constant(weights), constant(bias)], frames, pads=[1, 1, 1, 1])
        x = op("Add", [x, op("Relu", [y], frames)], frames)
    if behind:
        x = _BEHIND[behind](op, constant, x, frames)
    x = op("ReduceMean", [x, constant([2, 3])], [segments, CHANNELS], keepdims=0)
    head = random.normal(size=(CHANNELS, CLASSES)).astype(np.float32)
    x = op("Gemm", [x, constant(head)], [segments, CLASSES])
    x = op("Reshape", [x, constant([1, segments, CLASSES])], [1, segments, CLASSES])
    x = op("ReduceMean", [x, constant([1])], [1, CLASSES], keepdims=0)
    if tail:
        x = op(tail, [x], [1, CLASSES])
    x.name = "logits"
    opsets = {"": OPSET, "edgevid": 1}
    model = ir.Model(
        ir.Graph([clips], [x], nodes=steps.nodes, initializers=constants, opset_imports=opsets, name="clip"),
        ir_version=10,
    )
    attach_functions(model)
    return model


_BEHIND = {
    "position": lambda op, constant, x, frames: op(
        "Add", [x, constant(np.arange(frames[0], dtype=np.float32).reshape(-1, 1, 1, 1))], frames
    ),
    "softmax over frames": lambda op, constant, x, frames: op("Softmax", [x], frames, axis=0),
    "frames joined with channels": lambda op, constant, x, frames: op(
        "Reshape",
        [
            op(
                "Reshape",
                [x, constant([1, frames[0] * CHANNELS, SIZE, SIZE])],
                [1, frames[0] * CHANNELS, 4, 4],
            ),
            constant(frames),
        ],
        frames,
    ),
    "first frame twice": lambda op, constant, x, frames: op(
        "Concat",
        [
            op("Slice", [x, constant([0]), constant([1]), constant([0])], [1, *frames[1:]]),
            op(
                "Slice",
                [x, constant([0]), constant([frames[0] - 1]), constant([0])],
                [frames[0] - 1, *frames[1:]],
            ),
        ],
        frames,
        axis=0,
    ),
    "cumulated": lambda op, constant, x, frames: op("CumSum", [x, constant(0)], frames),
}


def _value(name, shape):
    return ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(shape))


def opened(model):
    """A function from feeds to the outputs of a graph, in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda feeds: session.run(None, feeds)


def stepped(graph, video, *, late=None):
    """The logits of all frames of ``video`` ``[L, C, H, W]``, by a streaming graph from zeroed caches.

    ``late`` is what is fed after the last frame, which must not matter.
    """
    run, streaming = opened(graph.model), graph.streaming
    state = {cache.name: np.full(cache.shape, cache.fill, cache.dtype) for cache in streaming.caches}
    rows, length = [], len(video)
    for number in range(length + streaming.delay):
        frame = video[number] if number < length else late
        feeds = {"clips": frame[None, None], **state}
        if streaming.gates:
            feeds["valid"] = np.array([0 <= number - gate < length for gate in streaming.gates], np.uint8)
        logits, *following = run(feeds)
        state = {cache.name: array for cache, array in zip(streaming.caches, following, strict=True)}
        if number >= streaming.delay:
            rows.append(logits[0])
    return np.array(rows)

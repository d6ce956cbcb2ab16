"""Canonical graphs of a few operations, written as text."""

import numpy as np
import onnx
import onnx_ir as ir

from edgevid.graph.shift_op import attach_functions


def parse(text, **constants):
    """A graph with its constants and shapes, and the bodies of its shifts."""
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20, "edgevid" : 1]>{text}')
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(each), name) for name, each in constants.items()
    )
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    for number, node in enumerate(model.graph):
        node.name = f"{node.op_type}_{number}"
    attach_functions(model)
    return model


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


SHAPE = (4, 8, 6, 6)

_LINKS = {
    "S": 'edgevid.Shift<segments = 4, moves = [{move}], layout = "[N*T,C,H,W]">',
    "M": "MaxPool<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>",
}


def chain(links):
    """A convolution, shifts (S) and maxima (M) in a row, and another convolution: from x to y."""
    names = ["link0", *(f"link{number + 1}" for number in range(len(links)))]
    lines = [
        f"{after} = {_LINKS[link].format(move=f'{number}, {number + 2}, {(-1) ** number}, 0, 0')}({before})"
        for number, (link, before, after) in enumerate(zip(links, names, names[1:], strict=False))
    ]
    first, second = normal(8, 8, 3, 3) / 8, normal(8, 8, 3, 3, seed=1) / 8
    model = parse(
        f"""g (float{list(SHAPE)} x) => (float{list(SHAPE)} y) {{
            sums = Conv<pads = [1, 1, 1, 1]>(x, w1, b1)
            link0 = Relu(sums)
            {chr(10).join(lines)}
            y = Conv<pads = [1, 1, 1, 1]>({names[-1]}, w2, b2)
        }}""",
        w1=first,
        b1=normal(8, seed=2),
        w2=second,
        b2=normal(8, seed=3),
    )
    for node in model.graph:
        for value in node.outputs:
            value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(SHAPE)
    return model


def volumes(rank, batch=1, centre=0):
    """Two convolutions over 1 or 3 axes and a dense layer, of clips ``[batch, 2, 6, 6, 3]``."""
    shape = [-1] if rank == 1 else [2, 6, 6]
    return parse(
        f"""g (uint8[{batch}, 2, 6, 6, 3] clip) => (float[{batch}, 4] logits) {{
            floats = Cast<to = 1>(clip)
            centred = Sub(floats, centre)
            small = Mul(centred, share)
            planes = Transpose<perm = [0, 4, 1, 2, 3]>(small)
            frames = Reshape(planes, shape)
            sums = Conv(frames, w1, b1)
            first = Relu(sums)
            more = Conv(first, w2)
            second = Relu(more)
            means = ReduceMean<keepdims = 0>(second, axes)
            logits = Gemm<transB = 1>(means, dense, b3)
        }}""",
        centre=np.float32(centre),
        share=np.float32(1 / 128),
        shape=np.array([batch, 3, *shape]),
        w1=normal(5, 3, *[2] * rank),
        b1=normal(5, seed=1),
        w2=normal(6, 5, *[1] * rank, seed=2),
        axes=np.arange(2, rank + 2),
        dense=normal(4, 6, seed=3),
        b3=normal(4, seed=4),
    )


def overflowing(cut):
    """A convolution that overflows, an operation that cuts or keeps that, and another one."""
    return parse(
        f"""g (uint8[1, 2, 6, 6, 3] clip) => (float[2, 4, 1, 1] logits) {{
            floats = Cast<to = 1>(clip)
            planes = Transpose<perm = [0, 1, 4, 2, 3]>(floats)
            frames = Reshape(planes, shape)
            sums = Conv(frames, huge)
            cut = {cut}
            more = Conv(cut, weight)
            logits = GlobalAveragePool(more)
        }}""",
        shape=np.array([2, 3, 6, 6]),
        huge=np.full((4, 3, 1, 1), -3e38, np.float32),
        low=np.float32(0),
        high=np.float32(6),
        weight=normal(4, 4, 1, 1),
    )

"""Where a foreign input has its clips: from its shape, else from flags, else asked for."""

import onnx_ir as ir
import pytest

from edgevid.errors import ConfigError, GraphError
from edgevid.graph.clip_input import ClipLayout, clip_input


def model(*shapes, dtype=ir.DataType.FLOAT):
    inputs = [
        ir.Value(
            name=f"x{number}", type=ir.TensorType(dtype), shape=None if shape is None else ir.Shape(shape)
        )
        for number, shape in enumerate(shapes)
    ]
    return ir.Model(ir.Graph(inputs, [], nodes=[], opset_imports={"": 20}, name="net"), ir_version=10)


@pytest.mark.parametrize(
    ("shape", "layout", "segments", "batch"),
    [
        ([1, 8, 3, 32, 32], "[N,T,3,H,W]", 8, 1),
        (["N", 8, 3, 32, 32], "[N,T,3,H,W]", 8, None),
        ([2, 3, 8, 32, 32], "[N,3,T,H,W]", 8, 2),
        ([8, 3, 32, 32], "[N*T,3,H,W]", 8, 1),
        ([1, 24, 32, 32], "[N,T*3,H,W]", 8, 1),
        ([None, 24, 32, 32], "[N,T*3,H,W]", 8, None),
        ([1, "T", 3, 32, 32], "[N,T,3,H,W]", 8, 1),
        (["F", 3, "H", "W"], "[N*T,3,H,W]", 8, None),
    ],
)
def test_the_shape_decides_and_flags_fill_in_what_is_symbolic(shape, layout, segments, batch):
    open_frames = any(isinstance(size, str) and size in "TF" for size in shape)
    flags = {"segments": 8} if open_frames else {}
    flags |= {"size": 32} if "H" in shape else {}
    found = clip_input(model(shape), **flags)
    assert (str(found.layout), found.segments, found.size, found.batch) == (layout, segments, 32, batch)


def test_the_shape_for_a_batch_is_the_declared_one():
    for layout, shape in zip(
        ClipLayout, [(2, 8, 3, 32, 32), (2, 3, 8, 32, 32), (16, 3, 32, 32), (2, 24, 32, 32)], strict=True
    ):
        flags = {"segments": 8} if layout is ClipLayout.FRAMES else {}
        found = clip_input(model(shape), **flags)
        assert found.layout is layout
        assert found.shape(2) == shape
        assert found.batch == 2


@pytest.mark.parametrize(
    ("shape", "flag"),
    [
        (["F", 3, 32, 32], "--segments"),
        (["N", 8, 3, "H", "W"], "--size"),
        (["N", "T", 3, 32, 32], "--segments"),
        ([1, 3, 3, 32, 32], "--input-layout"),
        (["N", "C", 32, 32], "--input-layout"),
    ],
)
def test_what_stays_open_is_asked_for_by_its_flag(shape, flag):
    with pytest.raises(ConfigError, match=f"what to do: .*{flag}") as error:
        clip_input(model(shape))
    assert "x0 [" in str(error.value)


def test_the_layout_flag_decides_and_must_be_possible():
    assert clip_input(model([1, 3, 3, 8, 8]), layout="n,3,t,h,w").layout is ClipLayout.VOLUME
    assert clip_input(model(["N", "C", 8, 8]), segments=4, layout="[N,T*3,H,W]").shape(2) == (2, 12, 8, 8)
    with pytest.raises(ConfigError, match="which the input is not"):
        clip_input(model([1, 24, 8, 8]), layout="N,T,3,H,W")
    with pytest.raises(ConfigError, match="unknown layout"):
        clip_input(model([1, 24, 8, 8]), layout="NCHW")


@pytest.mark.parametrize(
    ("shape", "flags", "told"),
    [
        ([1, 8, 3, 32, 32], {"segments": 16}, "16 frames.*takes 8"),
        ([1, 24, 32, 32], {"segments": 16}, "16 frames.*takes 8"),
        ([8, 3, 32, 32], {"segments": 16}, "16 frames.*takes 8"),
        ([8, 3, 32, 32], {"size": 224}, "224 pixels.*takes 32"),
        ([8, 3, 32, 32], {"size": 0}, "--size is 0"),
        ([8, 3, 32, 32], {"segments": 0}, "--segments is 0"),
        (["F", 3, 32, 32], {"segments": 0}, "--segments is 0"),
    ],
)
def test_a_flag_that_contradicts_the_shape_is_an_error_that_names_both(shape, flags, told):
    with pytest.raises(ConfigError, match=told):
        clip_input(model(shape), **flags)


@pytest.mark.parametrize(
    "shape", [[1, 3, 32], [1, 8, 32, 32, 3], [8, 32, 32, 3], [8, 1, 32, 32], [1, 10, 32, 32]]
)
def test_an_input_without_rgb_frames_is_refused_with_its_shape(shape):
    with pytest.raises(GraphError, match="no clips of RGB frames") as error:
        clip_input(model(shape))
    assert str(shape) in str(error.value)


def test_inputs_that_are_not_square_not_float_unknown_or_several_are_refused():
    with pytest.raises(GraphError, match="32 x 48"):
        clip_input(model([8, 3, 32, 48]))
    with pytest.raises(GraphError, match="UINT8"):
        clip_input(model([8, 3, 32, 32], dtype=ir.DataType.UINT8))
    with pytest.raises(GraphError, match="no shape"):
        clip_input(model(None))
    with pytest.raises(GraphError, match="x0, x1"):
        clip_input(model([8, 3, 32, 32], [1, 4]))


def test_the_usual_size_fills_in_what_is_symbolic_and_nothing_else():
    assert clip_input(model([1, 8, 3, "H", "W"]), usual_size=224).size == 224
    assert clip_input(model([1, 8, 3, "H", "W"]), usual_size=224, size=64).size == 64
    assert clip_input(model([1, 8, 3, 32, 32]), usual_size=224).size == 32

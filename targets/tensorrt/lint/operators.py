"""The operators that TensorRT's ONNX parser imports: since which version, and on which types.

Source of each line is the table of its version in onnx/onnx-tensorrt, see `SOURCES`. An operator that
has no line is imported by none of the versions known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edgevid.targets.tensorrt.lint.release import Number, Release

__all__ = ["OPERATORS", "RTX_REFUSES", "SOURCES", "Operator"]

_TABLE = "onnx/onnx-tensorrt, docs/operators.md, TensorRT {}"
_CHANGES = "onnx/onnx-tensorrt, docs/Changelog.md, TensorRT {}"

SOURCES: Mapping[Number, str] = MappingProxyType(
    {
        (7, 1): "onnx/onnx-tensorrt, operators.md, TensorRT 7.0 and 7.2 (opset 11), which agree",
        (8, 0): f"{_TABLE.format('8.0')}; {_CHANGES.format('8.0')}",
        (8, 2): f"{_TABLE.format('8.2')}; {_CHANGES.format('8.2 EA')}",
        (8, 4): _CHANGES.format("8.4 GA"),
        (8, 5): _TABLE.format("8.5"),
        (8, 6): _CHANGES.format("8.6 EA"),
        (10, 0): f"{_TABLE.format('10.15')}; {_CHANGES.format('9.0 to 10.0')}",
        (10, 1): _CHANGES.format("10.1 GA"),
        (10, 4): _CHANGES.format("10.4 GA"),
        (10, 5): _CHANGES.format("10.5 GA"),
        (10, 15): _TABLE.format("10.15"),
        (11, 0): "NVIDIA/TensorRT, Release Notes of 11.0, Parsers",
    }
)

_RTX_PLUGIN = "parser of TensorRT for RTX 1.7: its plugin, as full TensorRT has it, is not found"
RTX_REFUSES: Mapping[str, str] = MappingProxyType(
    {
        "DeformConv": _RTX_PLUGIN,
        "NonMaxSuppression": "builder of TensorRT for RTX 1.7: no kernel implements it",
        "NonZero": f"NVIDIA/TensorRT-RTX issue 32; {_RTX_PLUGIN}",
        "RoiAlign": _RTX_PLUGIN,
    }
)
"""Operator to the source that says so, for those of TensorRT 11 that TensorRT for RTX lacks."""

_LINES = """
Abs                       7.1    fi    fi
Acos                      7.1    f     f
Acosh                     7.1    f     f
Add                       7.1    fi    fi
And                       7.1    b     b
ArgMax                    7.1    f     fi
ArgMin                    7.1    f     fi
Asin                      7.1    f     f
Asinh                     7.1    f     f
Atan                      7.1    f     f
Atanh                     7.1    f     f
Attention                 10.15  *     f
AveragePool               7.1    fiq   f
BatchNormalization        7.1    f     f
BlackmanWindow            10.4   *     *
Cast                      7.1    *     *
CastLike                  10.0   *     *
Ceil                      7.1    f     f
Celu                      8.0    f     f
Clip                      7.1    fq    f
Concat                    7.1    fiqb  fib
Constant                  7.1    *     *
ConstantOfShape           7.1    *     *
Conv                      7.1    fq    f
ConvTranspose             7.1    fq    f
Cos                       7.1    f     f
Cosh                      7.1    f     f
CumSum                    8.0    f     f
DeformConv                10.1   *     f
DepthToSpace              7.1    fi    fi
DequantizeLinear          7.1    *     *
Div                       7.1    fi    fi
Dropout                   8.2    f     f
Einsum                    8.2    f     f
Elu                       7.1    fq    f
Equal                     7.1    fi    fi
Erf                       7.1    f     f
Exp                       7.1    f     f
Expand                    7.1    fib   fib
EyeLike                   8.0    *     *
Flatten                   7.1    fib   fib
Floor                     7.1    f     f
Gather                    7.1    fiqB  fib
GatherElements            8.0    fiqB  fib
GatherND                  8.2    fiqB  fib
Gelu                      10.15  *     fi
Gemm                      7.1    fq    f
GlobalAveragePool         7.1    fq    f
GlobalLpPool              8.0    fq    f
GlobalMaxPool             7.1    fq    f
Greater                   7.1    fi    fi
GreaterOrEqual            8.0    fi    fi
GridSample                8.5    f     f
GroupNormalization        8.6    f     f
GRU                       7.1    f     f
HammingWindow             10.4   *     *
HannWindow                10.4   *     *
Hardmax                   10.0   *     f
HardSigmoid               7.1    fq    f
HardSwish                 8.5    fq    f
Identity                  7.1    *     *
If                        8.2    *     *
ImageScaler               7.1    f     f
InstanceNormalization     7.1    f     f
IsInf                     8.6    f     f
IsNaN                     8.2    fi    fi
LayerNormalization        8.6    f     f
LeakyRelu                 7.1    fq    f
Less                      7.1    fi    fi
LessOrEqual               8.0    fi    fi
Log                       7.1    f     f
LogSoftmax                7.1    f     f
Loop                      7.1    *     *
LpNormalization           8.0    f     f
LpPool                    8.0    fq    f
LRN                       7.1    f     f
LSTM                      7.1    f     f
MatMul                    7.1    f     f
Max                       7.1    fi    fi
MaxPool                   7.1    fq    f
Mean                      7.1    fi    fi
MeanVarianceNormalization 8.5    f     f
Min                       7.1    fi    fi
Mish                      10.15  *     f
Mod                       8.5    fi    fi
Mul                       7.1    fi    fi
Neg                       7.1    fi    fi
NonMaxSuppression         8.0    f     f
NonZero                   8.5    f     f
Not                       7.1    b     b
OneHot                    8.5    *     *
Or                        7.1    b     b
Pad                       7.1    fiq   fi
ParametricSoftplus        7.1    fq    f
Pow                       7.1    f     fi
PRelu                     7.1    fq    f
QuantizeLinear            7.1    *     *
RandomNormal              8.5    *     *
RandomNormalLike          8.5    *     *
RandomUniform             7.1    *     *
RandomUniformLike         7.1    *     *
Range                     7.1    *     *
Reciprocal                8.5    f     f
ReduceL1                  7.1    f     fi
ReduceL2                  7.1    f     fi
ReduceLogSum              7.1    f     fi
ReduceLogSumExp           7.1    f     fi
ReduceMax                 7.1    f     fi
ReduceMean                7.1    f     fi
ReduceMin                 7.1    f     fi
ReduceProd                7.1    f     fi
ReduceSum                 7.1    f     fi
ReduceSumSquare           7.1    f     fi
Relu                      7.1    fq    fi
Reshape                   7.1    fiqb  fib
Resize                    7.1    f     f
ReverseSequence           8.0    f     fib
RMSNormalization          10.15  *     f
RNN                       7.1    f     f
RoiAlign                  8.5    f     f
RotaryEmbedding           10.15  *     f
Round                     8.2    fq    f
ScaledTanh                7.1    fq    f
Scan                      7.1    f     f
Scatter                   8.2    fiq   fi
ScatterElements           8.2    fiq   fi
ScatterND                 8.2    fiq   fi
Selu                      7.1    fq    f
Shape                     7.1    *     *
Shrink                    8.4    fi    fi
Sigmoid                   7.1    fq    f
Sign                      8.2    fiq   fi
Sin                       7.1    f     f
Sinh                      7.1    f     f
Size                      7.1    *     *
Slice                     7.1    fiqb  fib
Softmax                   7.1    f     f
Softplus                  7.1    fq    f
Softsign                  7.1    fq    f
SpaceToDepth              7.1    fi    fi
Split                     7.1    fib   fib
Sqrt                      7.1    f     f
Squeeze                   7.1    fiqb  fib
STFT                      10.5   *     f
Sub                       7.1    fi    fi
Sum                       7.1    fi    fi
Swish                     11.0   *     f
Tan                       7.1    f     f
Tanh                      7.1    fq    f
TensorScatter             10.15  *     fi
ThresholdedRelu           7.1    fq    f
Tile                      7.1    fib   fib
TopK                      7.1    f     fi
Transpose                 7.1    fiqb  fib
Trilu                     8.5    fiqb  fib
Unsqueeze                 7.1    fiqb  fib
Upsample                  7.1    f     f
Where                     7.1    fib   fib
Xor                       8.4    b     b
"""
"""Operator, first version, types before 10 and from it: (f)loats, (i)ntegers of 32 bits and, as such or
cast to them, of 64, int8 (q), (b)ool, (B)ool from 8.5, * any. The tables name types since 8.2."""

_LETTERS: Mapping[str, tuple[str, ...]] = {
    "f": ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE"),
    "i": ("INT32", "INT64"),
    "q": ("INT8",),
    "b": ("BOOL",),
    "B": ("BOOL",),
}
_TYPED: Number = (10, 0)


@dataclass(frozen=True)
class Operator:
    """One line: the operator, since when it is imported, and on which types."""

    name: str
    since: Number
    early: str
    late: str

    @property
    def source(self) -> str:
        """The document that says so."""
        return SOURCES[self.since]

    def types(self, release: Release) -> frozenset[str]:
        """Names of onnx_ir's data types of its first data input; empty if any will do."""
        letters = self.late if release.number >= _TYPED else self.early
        if letters == "*":
            return frozenset()
        if release.number < (8, 5):
            letters = letters.replace("B", "")
        return frozenset(name for letter in letters for name in _LETTERS[letter])


def _parsed() -> Mapping[str, Operator]:
    found = {}
    for line in _LINES.split("\n"):
        if line:
            name, since, early, late = line.split()
            major, minor = since.split(".")
            found[name] = Operator(name, (int(major), int(minor)), early, late)
    return MappingProxyType(found)


OPERATORS: Mapping[str, Operator] = _parsed()

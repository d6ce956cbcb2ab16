"""Operations that no kernel of ours computes: TVM reads them from ONNX and makes the loops itself.

These are right and slow: nothing in them is vectorized or parallel by design.
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import relax

from edgevid.errors import TargetError
from edgevid.targets.tvm.network import Fallback

__all__ = ["relax_function"]


def relax_function(operation: Fallback) -> Any:
    """The operation as a Relax function of its sources.

    Raises:
        TargetError: TVM does not know it either, or understands another shape or type.
    """
    import onnx
    from tvm.relax.frontend.onnx import from_onnx

    model = onnx.load_model_from_string(operation.model)
    try:
        module = from_onnx(model, keep_params_in_input=False)
    # What TVM raises depends on the operation and on the attribute it stumbles over.
    except (tvm.error.TVMError, RuntimeError, ValueError, KeyError, NotImplementedError) as error:
        raise _refused(operation, str(error)) from error
    except (AttributeError, TypeError, AssertionError, IndexError) as error:
        raise _refused(operation, str(error)) from error
    if [name.name_hint for name in module.functions] != ["main"]:
        raise _refused(operation, "it is made of several functions")
    function = module["main"]
    found = function.ret_ty
    shape = tuple(int(size) for size in found.shape) if found.shape is not None else None
    if shape != operation.target.shape or str(found.dtype) != operation.target.dtype:
        raise _refused(operation, f"it makes {found.dtype} {shape} of what is {operation.target}")
    return function.without_attr("global_symbol").without_attr("num_input")


def _refused(operation: Fallback, why: str) -> TargetError:
    return TargetError(
        f"no kernel for {operation.operator}, and TVM refuses it: {why}",
        where=", ".join(str(list(source.shape)) for source in operation.sources),
        fix="leave this operation out of the exported graph, or choose another target",
    )

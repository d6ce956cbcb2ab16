"""Operations that no kernel of ours computes: TVM reads them from ONNX and makes the loops itself.

These are right and slow: nothing in them is vectorized or parallel by design.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm.relax.expr_functor import PyExprMutator, mutator

from edgevid.errors import TargetError
from edgevid.targets.tvm.network import Fallback

__all__ = ["add_function"]


def add_function(builder: Any, operation: Fallback, name: str) -> Any:
    """Add the operation to a module as a Relax function of its sources; the function's name there.

    Raises:
        TargetError: TVM does not know it either, or understands another shape or type.
    """
    functions = _imported(operation)
    renamed = {
        part.name_hint: builder.add_func(function, f"{name}_{part.name_hint}")
        for part, function in functions.items()
        if part.name_hint != "main"
    }
    main = next(function for part, function in functions.items() if part.name_hint == "main")
    found = main.ret_ty
    shape = None if found.shape is None else tuple(int(size) for size in found.shape)
    if shape != operation.target.shape or str(found.dtype) != operation.target.dtype:
        raise _refused(operation, f"it makes {found.dtype} {shape} of what is {operation.target}")
    main = _Renamed(renamed).visit_expr(main) if renamed else main
    return builder.add_func(main.without_attr("global_symbol").without_attr("num_input"), name)


def _imported(operation: Fallback) -> Mapping[Any, Any]:
    """The functions that TVM makes of it, the one that is called being ``main``."""
    import onnx
    from tvm.relax.frontend.onnx import from_onnx

    model = onnx.load_model_from_string(operation.model)
    try:
        functions: Mapping[Any, Any] = from_onnx(model, keep_params_in_input=False).functions
    except _REFUSALS as error:
        raise _refused(operation, str(error)) from error
    return functions


_REFUSALS = (
    *(RuntimeError, ValueError, KeyError, NotImplementedError),
    *(AttributeError, TypeError, AssertionError, IndexError),
)
"""What TVM raises depends on the operation and on the attribute that it stumbles over."""


@mutator
class _Renamed(PyExprMutator):  # type: ignore[misc]
    """Calls of functions under their names in another module."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        super().__init__()
        self.names = names

    def visit_global_var_(self, op: Any) -> Any:
        return self.names[op.name_hint]


def _refused(operation: Fallback, why: str) -> TargetError:
    return TargetError(
        f"no kernel for {operation.operator}, and TVM refuses it: {why}",
        where=", ".join(str(list(source.shape)) for source in operation.sources),
        fix="leave this operation out of the exported graph, or choose another target",
    )

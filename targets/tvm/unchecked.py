"""A pass of Relax that leaves out what is checked of caches at every frame.

Relax checks the type and shape of each argument of the function that is called. For twenty caches that
takes as long as a small layer, and every kernel checks the tensors that it is given itself.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

__all__ = ["without_checks_of_caches"]

_CHECKS = ("vm.builtin.check_tensor_info", "vm.builtin.match_shape")


def without_checks_of_caches(module: Any, entry: str) -> Any:
    """A module after `VMShapeLower` whose function ``entry`` checks only its first argument, the clips."""
    function = module[entry]
    caches = list(function.params)[1:]
    if not caches:
        return module
    changed = module.clone()
    changed.update_func(module.get_global_var(entry), _Unchecked(caches).visit_expr(function))
    return changed


@mutator
class _Unchecked(PyExprMutator):  # type: ignore[misc]
    """Without the checks of some arguments."""

    def __init__(self, arguments: list[Any]) -> None:
        super().__init__()
        self.arguments = arguments

    def visit_var_binding_(self, binding: Any) -> None:
        call = binding.value
        if isinstance(call, relax.Call) and isinstance(call.op, relax.ExternFunc):
            checked = call.op.global_symbol in _CHECKS
            if checked and any(call.args[0].same_as(each) for each in self.arguments):
                return
        super().visit_var_binding_(binding)

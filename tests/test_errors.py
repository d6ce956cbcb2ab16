import ast
import builtins
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import edgevid
from edgevid import errors
from edgevid.errors import EdgevidError

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(edgevid.__path__, "edgevid.")
    if not module.name.endswith("__main__")
)
STANDALONE = {"edgevid.targets.tensorrt.board.build_engine"}
"""Programs for devices that have no edgevid, and so none of its errors."""
CLASSES = {name: value for name, value in vars(errors).items() if inspect.isclass(value)}


def source(name):
    return ast.parse(Path(importlib.import_module(name).__file__).read_text(encoding="utf-8"))


def drawn_tree():
    """Name to the name of its parent, as the docstring draws it."""
    parents, branch = {"EdgevidError": "Exception"}, {0: "EdgevidError"}
    for line in errors.__doc__.splitlines():
        if match := re.match(r"    ([│ ]*)[├└]── (\w+) ", line):
            depth = len(match[1]) // 4 + 1
            parents[match[2]] = branch[depth - 1]
            branch[depth] = match[2]
    return parents


def test_the_docstring_draws_the_tree_that_the_classes_form():
    assert drawn_tree() == {name: value.__bases__[0].__name__ for name, value in CLASSES.items()}
    assert len(CLASSES) == 20
    assert all(len(value.__bases__) == 1 for value in CLASSES.values())


def test_every_error_is_public_and_explained():
    assert sorted(CLASSES) == errors.__all__
    assert all(len(value.__doc__) > 15 for value in CLASSES.values())


@pytest.mark.parametrize("kind", CLASSES.values())
def test_an_error_says_what_happened_where_and_what_to_do(kind):
    error = kind("it broke", where=Path("a") / "file", fix="mend it")
    assert str(error) == "it broke\n  where: a/file\n  what to do: mend it"
    assert (error.what, error.where, error.fix) == ("it broke", "a/file", "mend it")
    assert str(kind("it broke")) == "it broke"
    assert issubclass(kind, EdgevidError)


def raised(tree):
    """Names and lines of the exceptions that are made and raised, outside pydantic's validators."""
    for node in ast.iter_child_nodes(tree):
        decorators = getattr(node, "decorator_list", [])
        if any("validator" in ast.unparse(decorator) for decorator in decorators):
            continue
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield ast.unparse(node.exc.func), node.lineno
        yield from raised(node)


@pytest.mark.parametrize("name", sorted({*MODULES} - STANDALONE))
def test_a_module_raises_errors_of_the_tree_and_no_others(name):
    builtin = {kind for kind, line in raised(source(name)) if hasattr(builtins, kind)}
    assert builtin <= {"SystemExit"}


@pytest.mark.parametrize("name", ["edgevid", *MODULES])
def test_the_names_in_all_exist_once_and_in_order(name):
    module = importlib.import_module(name)
    names = list(getattr(module, "__all__", []))
    assert [public for public in names if not hasattr(module, public)] == []
    assert names == sorted(set(names), key=constants_then_classes_then_functions)


def constants_then_classes_then_functions(name):
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_takes_from_another_package_is_public_there(name):
    for node in ast.walk(source(name)):
        if not isinstance(node, ast.ImportFrom) or package(node.module) in (package(name), None):
            continue
        public = getattr(importlib.import_module(node.module), "__all__", ())
        for taken in node.names:
            is_module = f"{node.module}.{taken.name}" in MODULES
            assert is_module or taken.name.isupper() or taken.name in public, f"line {node.lineno}"


def package(name):
    """``edgevid.graph.lower`` is of ``graph``; what is not edgevid's is of none."""
    return name.split(".")[1] if name.startswith("edgevid.") else None

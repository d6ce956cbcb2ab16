"""Every name of TensorRT's module that is used exists in TensorRT 10, TensorRT 11 and TensorRT for RTX."""

import ast
import itertools
import re
from pathlib import Path

import pytest
from tensorrt_stand_in import surface

PACKAGE = Path(__file__).resolve().parents[3] / "targets" / "tensorrt"
FILES = [PACKAGE / name for name in ("builder.py", "execution.py", "vendor.py")]
"""Those that hold the vendor's objects; ``board/build_engine.py`` has a surface of its own."""

OBJECTS = {
    "builder": "Builder",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "error": "ParserError",
    "config": "IBuilderConfig",
    "profile": "IOptimizationProfile",
    "tensor": "ITensor",
    "engine": "ICudaEngine",
    "_engine": "ICudaEngine",
    "context": "IExecutionContext",
    "_context": "IExecutionContext",
}
"""What a variable of this name holds in these files."""

FUNCTIONS_OF_ONE = {"rtx": "rtx"}
"""A function whose name ends so uses what only that surface has."""

OURS = {"error": {"what", "where", "fix"}, "config": {"cuda_graph_strategy"}}
"""Attributes that a variable of such a name has where it holds something else."""


def owners(tree):
    """Every node with the name of the function it stands in."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                yield function.name, node


def used(path):
    """``(function, class or module, attribute)`` of everything that is used of the vendor's."""
    for function, node in owners(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Attribute):
            continue
        chain = ast.unparse(node).removeprefix("self.").split(".")
        if len(chain) < 2 or not all(part.isidentifier() for part in chain):
            continue
        if chain[0] in ("trt", "_trt"):
            yield function, ".".join(chain[1:-1]), chain[-1]
        elif len(chain) == 2 and chain[0] in OBJECTS and chain[1] not in OURS.get(chain[0], ()):
            yield function, OBJECTS[chain[0]], chain[1]


USED = sorted({found for path in FILES for found in used(path)})


def has(names, owner, attribute):
    if attribute.startswith("__"):
        return True
    if not owner:
        return attribute in names
    members = names.get(owner, [])
    return attribute in members or f"E:{attribute}" in members or attribute == "__members__"


@pytest.mark.parametrize("name", ["10", "11", "rtx"])
def test_every_name_that_is_used_exists(name):
    names = surface(name)
    missing = [
        f"{owner}.{attribute} in {function}"
        for function, owner, attribute in USED
        if not has(names, owner, attribute) and not (function.endswith("_rtx") and name != "rtx")
    ]
    assert missing == []


def test_the_walk_sees_the_builder_the_parser_and_the_session():
    found = {(owner, attribute) for _, owner, attribute in USED}
    assert len(found) > 40
    assert {
        ("Builder", "build_serialized_network"),
        ("IBuilderConfig", "set_memory_pool_limit"),
        ("OnnxParser", "parse"),
        ("ParserError", "node_name"),
        ("BuilderFlag", "TF32"),
        ("IExecutionContext", "execute_async_v3"),
        ("ICudaEngine", "create_runtime_config"),
    } <= found


def test_a_name_that_one_version_lacks_is_found():
    assert not has(surface("11"), "BuilderFlag", "FP16")
    assert has(surface("10"), "BuilderFlag", "FP16")
    assert not has(surface("10"), "", "ComputeCapability")


def test_every_file_that_names_the_vendor_is_looked_at():
    sources = {path.name: path.read_text(encoding="utf-8") for path in PACKAGE.glob("*.py")}
    assert {name for name, text in sources.items() if "trt." in text} <= {path.name for path in FILES}


def test_cuda_is_used_by_names_that_its_package_has():
    cuda = pytest.importorskip("cuda.bindings.runtime")
    tree = ast.parse((PACKAGE / "cuda_pipeline.py").read_text(encoding="utf-8"))
    names = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr.startswith("cuda")
    }
    examples = (PACKAGE / "example.py").read_text(encoding="utf-8")
    names |= set(re.findall(r"(?:cuda|kind)\.(cuda\w+)", examples))
    assert "cudaMemset" in names
    assert len(names) > 15
    kinds = [cuda.cudaMemcpyKind, cuda.cudaStreamCaptureMode]
    assert {
        name for name in names if not any(hasattr(place, name) for place in itertools.chain([cuda], kinds))
    } == set()

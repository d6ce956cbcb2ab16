from dataclasses import replace
from importlib import metadata

import onnx_ir
import pytest
from typed_graphs import LOWERING, integer, lowered

from edgevid import targets
from edgevid.contract import CompileOptions, RunSettings
from edgevid.errors import ConfigError, GraphError, TargetError, UnsupportedPrecisionError
from edgevid.plan import plan
from edgevid.targets._profiles import device, device_names, require_precision
from edgevid.targets.tensorrt import here as machine
from edgevid.targets.tensorrt._target import scheme_of
from edgevid.targets.tensorrt.boards import BOARDS, board
from edgevid.targets.tensorrt.gpu import Gpu

RTX = pytest.mark.skipif(not machine.installed_version("tensorrt-rtx"), reason="needs tensorrt-rtx")
ADA = Gpu("NVIDIA GeForce RTX 4090", "8.9", 24 << 30, "13.1")
FAMILY = {
    family: [name for name, each in BOARDS.items() if each.family == family]
    for family in ("rtx", "server", "board")
}


def probed(name):
    return targets.find("tensorrt").probe(device(name))


@pytest.fixture
def installed(monkeypatch):
    """Sets what is installed, by distribution, and the GPU that there is or the reason that there is none."""

    def install(versions, gpu=None):
        def find(package):
            if package not in versions:
                raise metadata.PackageNotFoundError(package)
            return versions[package]

        def look():
            if gpu is None:
                raise TargetError("there is no NVIDIA driver")
            return gpu

        monkeypatch.setattr(metadata, "version", find)
        monkeypatch.setattr(machine, "this_gpu", look)

    return install


@pytest.mark.parametrize("name", FAMILY["board"])
def test_a_folder_for_a_board_is_made_anywhere_and_executed_nowhere(name, installed):
    installed({})
    found = probed(name)
    assert found.compiles
    assert not found.executes
    assert "build_engine.py" in found.reason
    assert found.version == BOARDS[name].stacks[0].tensorrt
    assert found.opset >= 13


@pytest.mark.parametrize("name", FAMILY["rtx"])
def test_engines_for_rtx_are_compiled_without_a_gpu(name, installed):
    installed({"tensorrt-rtx": "1.7.1.116"})
    found = probed(name)
    assert (found.compiles, found.executes) == (True, False)
    assert found.reason == "compile only: there is no NVIDIA driver"
    assert found.version == "RTX 1.7.1.116"


def test_without_tensorrt_for_rtx_it_is_said_what_installs_it(installed):
    installed({})
    found = probed("rtx-40")
    assert not found.compiles
    assert found.reason == "tensorrt-rtx is not installed: pip install 'edgevid[tensorrt]'"


def test_an_unknown_tensorrt_for_rtx_is_refused(installed):
    installed({"tensorrt-rtx": "2.0"})
    assert "TensorRT for RTX 2.0 is not one of the known versions" in probed("rtx-40").reason


def test_an_rtx_engine_is_executed_on_a_gpu_of_its_capability(installed):
    packages = {"tensorrt-rtx": "1.7.1.116", "cuda-bindings": "13.0"}
    installed(packages, ADA)
    assert probed("rtx-40").executes
    assert probed("rtx-30+rtx-40").executes
    assert "has compute capability 8.9" in probed("rtx-30").reason
    installed({"tensorrt-rtx": "1.7.1.116"}, ADA)
    assert probed("rtx-40").reason.startswith("compile only: cuda-bindings is not installed")


@pytest.mark.parametrize("name", FAMILY["server"])
def test_without_tensorrt_a_server_gpu_says_what_is_missing_and_what_still_works(name, installed):
    installed({})
    found = probed(name)
    assert not found.compiles
    assert "not installed" in found.reason
    assert "--device rtx-40" in found.reason


def test_without_a_driver_a_server_gpu_says_so_and_what_still_works(installed):
    installed({"tensorrt": "10.3.0"})
    found = probed("t4")
    assert not found.compiles
    assert found.reason.startswith("there is no NVIDIA driver; ")
    assert "--device rtx-40" in found.reason


@pytest.mark.parametrize("package", ["tensorrt", "tensorrt-cu12", "tensorrt-cu13"])
def test_a_server_gpu_that_is_here_compiles_and_executes(package, installed):
    installed({package: "11.4.1", "cuda-bindings": "13.0"}, ADA)
    found = probed("l4")
    assert (found.compiles, found.executes, found.reason, found.version) == (True, True, "", "11.4.1")
    assert "this NVIDIA GeForce RTX 4090 has compute capability 8.9" in probed("a10").reason


@pytest.mark.parametrize(
    ("name", "version", "told"),
    [
        ("v100", "10.5.0", "does not support compute capability 7.0"),
        ("v100", "11.0.0", "does not support compute capability 7.0"),
        ("t4", "8.6.1", "too old"),
        ("t4", "9.3.0", "not one of the known versions"),
        ("t4", "12.0", "not one of the known versions"),
    ],
)
def test_a_tensorrt_that_does_not_fit_the_gpu_is_refused(name, version, told, installed):
    installed({"tensorrt": version})
    found = probed(name)
    assert not found.compiles
    assert told in found.reason


@pytest.mark.parametrize("name", ["jetson-tx2", "jetson-nano", "p100"])
def test_int8_is_refused_where_there_is_no_hardware_for_it_with_the_way_out(name):
    with pytest.raises(UnsupportedPrecisionError, match="no integer dot product") as caught:
        require_precision("int8", device(name))
    assert caught.value.fix == "use one of fp32, fp16"


@pytest.mark.parametrize("name", ["jetson-xavier", "jetson-xavier-nx", "jetson-orin-agx", "jetson-orin-nano"])
def test_int8_is_offered_on_xavier_and_orin(name):
    assert require_precision("int8", device(name)) == "int8"


def test_turing_has_float16_alone_with_tensorrt_for_rtx():
    assert probed("rtx-20").precisions == ("fp16",)
    assert set(probed("rtx-20+rtx-30").missing) == {"fp32", "bf16", "int8"}


def test_depthwise_layers_stay_in_float_on_rtx_alone():
    assert scheme_of(board("rtx-40")).depthwise == "float"
    assert scheme_of(board("t4")).depthwise == "int8"
    assert probed("jetson-tx2").scheme is None


def test_a_board_gets_the_ranges_of_both_inputs_of_an_addition():
    assert probed("jetson-xavier").scheme.add_inputs == "both"
    assert probed("rtx-40").scheme.add_inputs == "skip"


def test_a_plan_for_a_gpu_that_is_not_here_says_what_still_works(installed):
    installed({})
    with pytest.raises(TargetError, match="--device rtx-40"):
        plan("t4", "fp16")


@pytest.mark.parametrize("name", FAMILY["rtx"])
@pytest.mark.parametrize("other", FAMILY["rtx"])
def test_rtx_devices_are_joined_by_a_plus(name, other):
    if name == other:
        with pytest.raises(ConfigError, match="one artifact cannot serve"):
            device(f"{name}+{other}")
        return
    both = device(f"{name}+{other}")
    assert both.name == both.gpu == f"{name}+{other}"
    assert both.precisions == board(both.gpu).precisions
    assert set(both.precisions) == set(device(name).precisions) & set(device(other).precisions)


@pytest.mark.parametrize("name", ["rtx-40+t4", "jetson-tx2+jetson-nano", "host+host-tvm", "rtx-40+host"])
def test_other_devices_are_not_joined(name):
    with pytest.raises(ConfigError, match="one artifact cannot serve") as caught:
        device(name)
    assert "rtx-30" in caught.value.fix


def test_a_gpu_is_this_machine_by_its_compute_capability(monkeypatch):
    monkeypatch.setattr("edgevid.targets.tensorrt.gpu.this_gpu", lambda: ADA)
    found = {
        name for name in device_names() if device(name).target == "tensorrt" and device(name).is_this_machine
    }
    assert found == {"rtx-40", "l4"}
    assert device("rtx-30+rtx-40").is_this_machine


def test_a_device_of_another_target_is_no_gpu():
    found = targets.find("tensorrt").probe(device("host"))
    assert not found.compiles
    assert "no GPU" in found.reason


def compiled(name, precision, folder, graph):
    options = CompileOptions(device(name), folder, precision, 1, LOWERING, RunSettings())
    return targets.find("tensorrt").compile(graph, options)


@RTX
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_an_rtx_engine_lies_beside_what_it_is_for(precision, tmp_path):
    graph = integer() if precision == "int8" else lowered()
    artifact = compiled("rtx-30+rtx-40", precision, tmp_path, graph)
    assert artifact.path.stat().st_size > 1000
    assert '"8.6"' in (tmp_path / "engine.json").read_text()
    assert '"8.9"' in (tmp_path / "engine.json").read_text()
    assert (artifact.input.dtype, artifact.input.shape) == ("uint8", (1, 4, 32, 32, 3))
    assert (artifact.output.dtype, artifact.output.shape) == ("float32", (1, 6))
    assert "edgevid" not in (tmp_path / "example.py").read_text().partition('"""\n')[2]


@RTX
def test_a_float16_engine_says_what_stays_in_float32(tmp_path):
    artifact = compiled("rtx-40", "fp16", tmp_path, lowered())
    assert any("before the first layer" in note for note in artifact.notes)


@RTX
def test_an_engine_is_not_opened_without_a_gpu(tmp_path):
    artifact = compiled("rtx-40", "fp32", tmp_path, lowered())
    if probed("rtx-40").executes:
        pytest.skip("this machine has the GPU")
    with pytest.raises(TargetError):
        targets.find("tensorrt").open(artifact)


def test_a_device_behind_a_network_is_refused(tmp_path):
    artifact = compiled("jetson-tx2", "fp32", tmp_path, lowered())
    with pytest.raises(ConfigError, match="this machine only"):
        targets.find("tensorrt").open(artifact, RunSettings(on="rpc://board:9090/tx2"))


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_folder_for_a_tx2_holds_a_graph_of_opset_13(precision, tmp_path):
    compiled("jetson-tx2", precision, tmp_path, lowered())
    (path,) = tmp_path.glob("*.onnx")
    model = onnx_ir.load(path)
    assert (model.opset_imports[""], model.ir_version) == (13, 7)
    assert model.graph.inputs[0].dtype == onnx_ir.DataType.FLOAT
    assert (tmp_path / "build_engine.py").is_file()


def test_int8_of_a_float_graph_is_refused(tmp_path):
    for name in ("rtx-40", "jetson-xavier"):
        with pytest.raises((TargetError, GraphError)):
            compiled(name, "int8", tmp_path, lowered())


def test_the_lowering_is_one_concat_a_shift():
    for name in ("rtx-40", "jetson-tx2", "t4"):
        for batch in (1, 4):
            assert targets.find("tensorrt").default_lowering(None, device(name), "fp32", batch) == LOWERING
        assert LOWERING in probed(name).batch_lowerings


def test_unknown_names_of_gpus_in_a_profile_are_told():
    wrong = replace(device("rtx-40"), gpu="rtx-41")
    found = targets.find("tensorrt").probe(wrong)
    assert "rtx-41" in found.reason

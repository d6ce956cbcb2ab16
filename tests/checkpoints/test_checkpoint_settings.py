from fractions import Fraction

import pytest
import torch
from checkpoint_layouts import mit, mmaction2, network, shifted, small

from edgevid.checkpoints import read, write
from edgevid.checkpoints.names import hints
from edgevid.contract import Normalization, Sampling
from edgevid.errors import ConfigError
from edgevid.models.attention_config import AttentionConfig

PUBLISHED = "TSM_kinetics_RGB_resnet18_shift8_blockres_avg_segment4_e50.pth"


@pytest.fixture
def model():
    return network(small("resnet18", shifted()))


def saved(path, model, layout=mit):
    path.parent.mkdir(exist_ok=True)
    torch.save({"state_dict": layout(model)}, path)
    return path


def sources(checkpoint, *names):
    return [(checkpoint.settings[name].value, checkpoint.settings[name].source) for name in names]


def test_what_nothing_says_is_a_default_and_listed(tmp_path, model):
    checkpoint = read(saved(tmp_path / "w.pth", model))
    assert sources(checkpoint, "segments", "proportion", "direction") == [
        (8, "default"),
        (Fraction(1, 4), "default"),
        ("bidirectional", "default"),
    ]
    assert {"segments", "proportion", "direction", "mean", "std", "labels"} <= set(checkpoint.assumptions)
    assert sources(checkpoint, "backbone", "classes", "placement") == [
        ("resnet18", "keys"),
        (5, "keys"),
        ("residual", "keys"),
    ]


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_published_name_gives_frames_and_proportion(tmp_path, model, place):
    path = tmp_path / PUBLISHED if place == "file" else tmp_path / PUBLISHED[:-4] / "ckpt.best.pth.tar"
    checkpoint = read(saved(path, model))
    assert sources(checkpoint, "segments", "proportion") == [(4, "name"), (Fraction(1, 4), "name")]


def test_sources_are_taken_by_precedence(tmp_path, model):
    named = saved(tmp_path / PUBLISHED, model)
    assert sources(read(named), "segments") == [(4, "name")]
    with pytest.raises(ConfigError, match="preset"):
        read(named, preset="tsm-resnet50-16f")
    deep = network(small("resnet50", shifted()))
    named = saved(tmp_path / PUBLISHED.replace("resnet18", "resnet50"), deep)
    assert sources(read(named, preset="tsm-resnet50-16f"), "segments") == [(16, "preset")]
    assert sources(read(named, preset="tsm-resnet50-16f", segments=3), "segments") == [(3, "flag")]


def test_metadata_stands_between_flags_and_the_rest(tmp_path, model):
    write(tmp_path / PUBLISHED.replace(".pth", ".safetensors"), model)
    path = tmp_path / PUBLISHED.replace(".pth", ".safetensors")
    assert sources(read(path), "segments", "proportion") == [(4, "file"), (Fraction(1, 4), "file")]
    assert sources(read(path, segments=8), "segments") == [(8, "flag")]


@pytest.mark.parametrize(
    ("direction", "expected"), [("bidirectional", Fraction(1, 4)), ("unidirectional", Fraction(1, 8))]
)
def test_shift_div_is_a_proportion_that_depends_on_the_direction(tmp_path, model, direction, expected):
    checkpoint = read(saved(tmp_path / "w.pth", model), shift_div=8, direction=direction, crop=32)
    assert checkpoint.config.shift.proportion == expected
    by_name = read(saved(tmp_path / PUBLISHED, model), direction=direction)
    assert by_name.config.shift.proportion == expected


def test_two_flags_that_contradict_each_other_are_refused(tmp_path, model):
    path = saved(tmp_path / "w.pth", model)
    with pytest.raises(ConfigError, match="shift_div"):
        read(path, shift_div=8, proportion="1/8")
    assert read(path, shift_div=8, proportion="1/4").config.shift.proportion == Fraction(1, 4)
    with pytest.raises(ConfigError, match="size"):
        read(path, size=32, crop=64)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"proportion": 0}, "flag.*no shift.*keys"),
        ({"placement": "inplace"}, "flag says placement inplace, but the keys say residual"),
        ({"backbone": "resnet50"}, "flag says backbone resnet50, but the keys say resnet18"),
        ({"classes": 400}, "flag says classes 400, but the keys say 5"),
        ({"preset": "tsm-resnet50"}, "preset says backbone resnet50"),
        ({"every": 2}, "flag says every 2"),
    ],
)
def test_what_the_keys_prove_cannot_be_overruled(tmp_path, model, flags, words):
    with pytest.raises(ConfigError, match=words):
        read(saved(tmp_path / "w.pth", model), **flags)


def test_a_shift_that_only_the_name_or_a_flag_claims_is_refused(tmp_path):
    plain = network(small("resnet18"))
    with pytest.raises(ConfigError, match=r"file name says a shift.*keys have no shift"):
        read(saved(tmp_path / PUBLISHED, plain))
    with pytest.raises(ConfigError, match=r"flag says a shift.*keys have no shift"):
        read(saved(tmp_path / "w.pth", plain), proportion="1/4")


def test_a_name_of_another_backbone_is_refused(tmp_path, model):
    with pytest.raises(ConfigError, match="file name says backbone mobilenet_v2"):
        read(saved(tmp_path / PUBLISHED.replace("resnet18", "mobilenetv2"), model))


def test_an_unknown_setting_names_the_close_ones(tmp_path, model):
    with pytest.raises(ConfigError, match="segments"):
        read(saved(tmp_path / "w.pth", model), segment=8)


@pytest.mark.parametrize(
    "flags",
    [
        {"segments": 0},
        {"segments": "many"},
        {"proportion": "lots"},
        {"proportion": 1.5},
        {"shift_div": 0},
        {"shift_div": "x"},
        {"direction": "sideways"},
        {"first": "present"},
        {"mean": (1.0, 2.0)},
        {"mean": "grey"},
        {"std": (0.0, 1.0, 1.0)},
        {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
        {"color": "CMYK"},
        {"mode": "random"},
        {"crops": 2},
        {"clips": 0},
        {"crop": 300, "resize": 256},
        {"crop": "big"},
        {"blocks": 3},
        {"labels": ("a", "b")},
        {"labels": "no/such/file.txt"},
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(tmp_path, model, flags):
    with pytest.raises(ConfigError):
        read(saved(tmp_path / "w.pth", model), **flags)


def test_flags_reach_the_normalization_and_the_sampling(tmp_path, model):
    checkpoint = read(
        saved(tmp_path / "w.pth", model),
        segments=16,
        mean=(104, 117, 128),
        std="1,1,1",
        color="BGR",
        mode="dense",
        clips=10,
        crops=3,
        crop=256,
        average="softmax",
    )
    assert checkpoint.normalization == Normalization((104.0, 117.0, 128.0), (1.0, 1.0, 1.0), "BGR")
    assert checkpoint.sampling == Sampling(16, "dense", 64, 10, 3, 293, 256, "pil", "softmax")
    assert checkpoint.config.size == 256


def test_a_flag_that_is_none_is_not_given(tmp_path, model):
    assert sources(read(saved(tmp_path / "w.pth", model), segments=None), "segments") == [(8, "default")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "a\nb\nc\nd\ne\n"),
        ("labels.json", '["a", "b", "c", "d", "e"]'),
        ("labels.json", '{"c": "2", "a": "0", "b": "1", "e": "4", "d": "3"}'),
    ],
)
def test_labels_are_read_from_a_file(tmp_path, model, name, text):
    (tmp_path / name).write_text(text)
    checkpoint = read(saved(tmp_path / "w.pth", model), labels=tmp_path / name)
    assert checkpoint.labels == ("a", "b", "c", "d", "e")


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "mobilenet_v2"])
@pytest.mark.parametrize(
    "shift",
    [
        None,
        shifted(),
        shifted(proportion="1/2", direction="unidirectional"),
        shifted(first="past", repeats=2),
    ],
)
def test_what_is_written_is_read_again(tmp_path, backbone, shift):
    model = network(small(backbone, shift))
    normalization, sampling = Normalization((1.0, 2.0, 3.0)), Sampling(4, clips=2, resize=40, crop=32)
    path = tmp_path / "net.safetensors"
    write(path, model, normalization=normalization, sampling=sampling, labels=list("abcde"))
    checkpoint = read(path)
    assert checkpoint.layout == "edgevid"
    assert checkpoint.config == model.config
    assert (checkpoint.normalization, checkpoint.sampling) == (normalization, sampling)
    assert checkpoint.labels == tuple("abcde")
    assert not checkpoint.assumptions
    clip = torch.randn(1, 4, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(checkpoint.network()(clip), model(clip))
    assert [file.name for file in tmp_path.iterdir()] == ["net.safetensors"]


@pytest.mark.parametrize("shift", [None, shifted()])
def test_a_written_network_of_27_classes_is_not_taken_for_the_online_demo(tmp_path, shift):
    model = network(small("mobilenet_v2", shift, classes=27))
    write(tmp_path / "net.safetensors", model)
    checkpoint = read(tmp_path / "net.safetensors")
    assert (checkpoint.layout, checkpoint.config) == ("edgevid", model.config)


@pytest.mark.parametrize(
    ("backbone", "blocks"), [("resnet18", (1, 1, 2, 1)), ("mobilenet_v2", (1, 1, 2, 2, 1, 1, 1))]
)
def test_an_unusual_depth_is_read_from_metadata(tmp_path, backbone, blocks):
    model = network(small(backbone, shifted(), blocks=blocks))
    write(tmp_path / "net.safetensors", model)
    assert read(tmp_path / "net.safetensors").config == model.config


def test_a_published_layout_in_safetensors_is_read(tmp_path, model):
    from safetensors.torch import save_file

    save_file(dict(mmaction2(model)), tmp_path / "net.safetensors")
    assert read(tmp_path / "net.safetensors", segments=4, crop=32).config == model.config


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment8_e50.pth",
            {"backbone": "resnet50", "segments": 8, "shift_div": 8, "placement": "residual"},
        ),
        (
            "TSM_somethingv2_RGB_resnet101_shift4_block_avg_segment16_e45.pth",
            {"backbone": "resnet101", "segments": 16, "shift_div": 4, "placement": "inplace"},
        ),
        (
            "TSM_kinetics_RGB_mobilenetv2_shift8_blockres_avg_segment8_e100_dense.pth",
            {
                "backbone": "mobilenet_v2",
                "segments": 8,
                "shift_div": 8,
                "placement": "residual",
                "mode": "dense",
                "clips": 10,
            },
        ),
        ("TSM_kinetics_RGB_resnet50_avg_segment5_e50.pth", {"backbone": "resnet50", "segments": 5}),
        (
            "mobilenetv2_jester_online.pth.tar",
            {"backbone": "mobilenet_v2", "direction": "unidirectional", "shift_div": 8},
        ),
        (
            "tsm_imagenet-pretrained-r50_8xb16-1x1x16-50e_kinetics400-rgb_20220831-64d69186.pth",
            {"backbone": "resnet50", "segments": 16},
        ),
        (
            "tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb.pth",
            {"backbone": "mobilenet_v2", "segments": 8},
        ),
        (
            "something-v1_RGB_InceptionV3_avg_segment16_checkpoint.pth.tar",
            {"backbone": "inception_v3", "segments": 16},
        ),
        ("diving48_RGB_BNInception_avg_segment8.pth.tar", {"backbone": "bn_inception", "segments": 8}),
        (
            "tsm_imagenet-pretrained-r50-nl-dot-product_8xb16-1x1x8-50e_kinetics400-rgb.pth",
            {
                "backbone": "resnet50",
                "segments": 8,
                "attention": AttentionConfig(pairwise="dot_product"),
            },
        ),
        (
            "tsm_nl_gaussian_r50_1x1x8_50e_kinetics400_rgb.pth",
            {"backbone": "resnet50", "segments": 8, "attention": AttentionConfig(pairwise="gaussian")},
        ),
        (
            "TSM_kinetics_RGB_resnet50_avg_segment8_e100_nl.pth",
            {"backbone": "resnet50", "segments": 8, "attention": AttentionConfig()},
        ),
        ("tsm-nl-mine.pth", {}),
        ("my-finetuned-net.pth", {}),
        ("resnet50-imagenet.pth", {}),
    ],
)
def test_published_names_are_understood(tmp_path, name, expected):
    assert hints(tmp_path / name) == expected


def test_a_name_tells_parts_that_are_not_supported(tmp_path):
    name = "TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment8_e100_dense_tpool.pth"
    assert "unsupported" in hints(tmp_path / name)


def test_the_preset_of_another_publisher_is_refused(tmp_path):
    deep = network(small("resnet50", shifted()))
    path = saved(tmp_path / "w.pth", deep)
    with pytest.raises(ConfigError, match="mmaction2-tsm-resnet50 is of the layout mmaction2"):
        read(path, preset="mmaction2-tsm-resnet50")
    read(saved(tmp_path / "m.pth", deep, mmaction2), preset="mmaction2-tsm-resnet50")


def test_a_published_tsm_is_taken_for_an_stsm_only_when_a_flag_says_so(tmp_path):
    path = saved(tmp_path / "w.pth", network(small("resnet50", shifted(), channels=(16,) * 5)))
    with pytest.raises(ConfigError, match="shifts along time alone") as caught:
        read(path, preset="stsm-resnet50")
    assert 'axes="T+H+W"' in caught.value.fix
    checkpoint = read(path, preset="stsm-resnet50", axes="T+H+W")
    assert sources(checkpoint, "axes", "proportion") == [("T+H+W", "flag"), (Fraction(3, 8), "preset")]


@pytest.mark.parametrize("flag", [{"width": "1/2"}, {"expansion": 3}])
def test_a_flag_that_the_network_has_no_use_for_is_refused(tmp_path, model, flag):
    (name,) = flag
    path = saved(tmp_path / "w.pth", model)
    with pytest.raises(ConfigError, match=f"flag says {name} .*resnet18"):
        read(path, **flag)
    read(path, width=1, expansion=6)

"""A bundle proves itself when it is opened, and is never half there."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgevid.bundle import Bundle, sha256
from edgevid.contract import RunSettings
from edgevid.errors import BundleError, BundleIntegrityError, BundleVersionError, ConfigError
from edgevid.manifest import SCHEMA_VERSION
from edgevid.new_bundle import new_bundle


@pytest.fixture
def copy(tiny_bundle, tmp_path) -> Path:
    return shutil.copytree(tiny_bundle, tmp_path / "copy.bundle")


def rewrite_manifest(bundle, change):
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_a_bundle_opens_and_reproduces_its_golden_logits(tiny_bundle):
    bundle = Bundle.open(tiny_bundle)
    golden = bundle.expectations()[0]
    with bundle.session() as session:
        logits = session.run(golden.clips[:1])
    assert np.abs(logits - golden.logits[:1]).max() <= 1e-4 * np.abs(golden.logits).max()


def test_a_bundle_says_what_it_is(tiny_bundle):
    manifest = Bundle.open(tiny_bundle).manifest
    assert manifest.status == "verified on the device"
    assert manifest.layout == "edgevid"
    assert manifest.network["shift"]["proportion"] == "1/4"
    assert [record.batch for record in manifest.artifacts] == [1, 2]
    assert len(manifest.shifts) == 4
    assert all(check.passed for record in manifest.artifacts for check in record.checks)
    assert manifest.reference.shift_removed > 1e-4
    assert manifest.reference.shift_swapped > 1e-4
    assert {"segments", "proportion", "mean"} <= set(manifest.provenance)


def test_every_file_of_a_bundle_is_in_the_manifest(tiny_bundle):
    files = {p.relative_to(tiny_bundle).as_posix() for p in tiny_bundle.rglob("*") if p.is_file()}
    assert set(Bundle.open(tiny_bundle).manifest.files) == files - {"manifest.json"}


def test_nothing_in_a_bundle_is_a_pickle(tiny_bundle):
    suffixes = {path.suffix for path in tiny_bundle.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".npy", ".xml", ".bin", ".py"}


def test_each_compiled_batch_has_its_own_session(tiny_bundle):
    bundle = Bundle.open(tiny_bundle)
    clips = np.repeat(bundle.golden_clip, 2, axis=0)
    with bundle.session(2, RunSettings(threads=1)) as session:
        assert session.run(clips).shape == (2, 5)


def test_a_batch_that_was_not_compiled_is_refused_with_those_that_were(tiny_bundle):
    with pytest.raises(ConfigError, match=r"no artifact for batch 7[\s\S]*batch 1, 2[\s\S]*--batch 7"):
        Bundle.open(tiny_bundle).session(7)


@pytest.mark.parametrize("position", [0, -1])
def test_one_changed_byte_is_noticed(copy, position):
    file = copy / "artifacts" / "batch1" / "model.bin"
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleIntegrityError, match=r"model\.bin has changed"):
        Bundle.open(copy)


def test_a_missing_file_is_named(copy):
    (copy / "golden" / "golden_input.clips.npy").unlink()
    with pytest.raises(BundleIntegrityError, match=r"lacks golden/golden_input\.clips\.npy"):
        Bundle.open(copy)


def test_a_newer_schema_asks_for_a_newer_edgevid(copy):
    rewrite_manifest(copy, lambda m: m.update(schema_version=SCHEMA_VERSION + 1, something_new={"a": 1}))
    with pytest.raises(BundleVersionError, match="pip install --upgrade edgevid"):
        Bundle.open(copy)


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/hostname", "golden/../../outside.txt"])
def test_a_path_that_climbs_out_of_the_folder_is_refused(copy, name):
    (copy.parent / "outside.txt").write_text("secret")
    rewrite_manifest(copy, lambda m: m["files"].update({name: "0" * 64}))
    with pytest.raises(BundleIntegrityError, match="outside the bundle"):
        Bundle.open(copy)


def test_a_link_that_leads_out_of_the_folder_is_refused(copy):
    file = copy / "artifacts" / "batch1" / "model.bin"
    outside = copy.parent / "model.bin"
    file.rename(outside)
    file.symlink_to(outside)
    with pytest.raises(BundleIntegrityError, match="outside the bundle"):
        Bundle.open(copy)


@pytest.mark.parametrize("entry", ["../../../etc/model.xml", "/etc/model.xml"])
def test_an_artifact_outside_the_folder_is_refused(copy, entry):
    rewrite_manifest(copy, lambda m: m["artifacts"][0].update(entry=entry))
    with pytest.raises(BundleIntegrityError, match="outside the bundle"):
        Bundle.open(copy)


def test_an_artifact_file_without_a_hash_is_refused(copy):
    rewrite_manifest(copy, lambda m: m["files"].pop("artifacts/batch1/model.bin"))
    with pytest.raises(BundleIntegrityError, match=r"no hash of artifacts/batch1/model\.bin"):
        Bundle.open(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": "one"}', '{"schema_version": 1}'])
def test_a_damaged_manifest_is_named(copy, text):
    (copy / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=r"manifest is damaged[\s\S]*manifest\.json"):
        Bundle.open(copy)


@pytest.mark.parametrize("place", ["nowhere", "."])
def test_a_folder_without_a_manifest_is_no_bundle(tmp_path, place):
    with pytest.raises(BundleError, match="no bundle there"):
        Bundle.open(tmp_path / place)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(labels=["one", "two"]),
        lambda m: m.update(golden=[]),
        lambda m: m["artifacts"].append(m["artifacts"][0]),
        lambda m: m["artifacts"][0].update(entry=""),
        lambda m: m["artifacts"][0]["output"].update(shape=[1]),
        lambda m: m["sampling"].update(segments=7),
        lambda m: m.update(schema_version=True),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(copy, change):
    rewrite_manifest(copy, change)
    with pytest.raises(BundleError, match="manifest is damaged"):
        Bundle.open(copy)


def test_golden_data_without_a_hash_is_refused(copy):
    rewrite_manifest(copy, lambda m: m["files"].pop("golden/golden_input.logits.npy"))
    with pytest.raises(BundleIntegrityError, match="no hash of golden/golden_input"):
        Bundle.open(copy)


def test_a_file_that_is_not_in_the_manifest_is_refused(copy):
    (copy / "golden" / "more.npy").write_text("more")
    with pytest.raises(BundleIntegrityError, match="no hash of golden/more"):
        Bundle.open(copy)


@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY\x01\x00"])
def test_golden_data_that_is_no_array_is_an_error_in_words(copy, content):
    file = copy / "golden" / "golden_input.clips.npy"
    file.write_bytes(content)
    name = "golden/golden_input.clips.npy"
    rewrite_manifest(copy, lambda m: m["files"].update({name: sha256(file)}))
    with pytest.raises(BundleIntegrityError, match="golden data"):
        Bundle.open(copy).expectations()


def test_a_bundle_opened_by_a_relative_path_survives_a_change_of_folder(copy, monkeypatch):
    monkeypatch.chdir(copy.parent)
    bundle = Bundle.open(copy.name)
    monkeypatch.chdir("/")
    with bundle.session(1) as session:
        assert session.run(bundle.golden_clip).shape == (1, 5)


def test_a_file_of_the_users_in_a_bundle_is_never_deleted(copy):
    (copy / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match="not its own: notes"), new_bundle(copy):
        pass
    assert (copy / "notes.txt").read_text() == "mine"


def test_a_foreign_manifest_makes_no_bundle(tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "manifest.json").write_text('{"name": "my web app"}')
    with pytest.raises(BundleError, match="is no bundle"), new_bundle(tmp_path / "app"):
        pass
    assert (tmp_path / "app" / "manifest.json").is_file()


def write_half_a_bundle(place, error):
    with new_bundle(place) as draft:
        (draft / "something").write_text("new")
        raise error


def test_a_new_bundle_replaces_the_old_one_only_when_it_is_whole(copy):
    before = sorted(p.name for p in copy.parent.iterdir())
    with pytest.raises(RuntimeError, match="half way"):
        write_half_a_bundle(copy, RuntimeError("half way"))
    Bundle.open(copy)
    assert sorted(p.name for p in copy.parent.iterdir()) == before
    changed = (copy / "manifest.json").read_text().replace("verified on the device", "compiled, not measured")
    with new_bundle(copy) as draft:
        (draft / "manifest.json").write_text(changed)
    assert (copy / "manifest.json").read_text() == changed
    assert sorted(p.name for p in copy.parent.iterdir()) == before


def test_a_reader_finds_a_whole_bundle_while_it_is_replaced(copy):
    import threading

    stop, failures = threading.Event(), []

    def read():
        while not stop.is_set():
            if not (copy / "manifest.json").is_file():
                failures.append("no manifest")

    reader = threading.Thread(target=read)
    reader.start()
    manifest = (copy / "manifest.json").read_text()
    for _ in range(20):
        with new_bundle(copy) as draft:
            (draft / "manifest.json").write_text(manifest)
    stop.set()
    reader.join()
    assert failures == []
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_the_exchange_falls_back_where_the_file_system_has_none(copy, monkeypatch):
    monkeypatch.setattr("edgevid.new_bundle._exchange", lambda one, other: False)
    manifest = (copy / "manifest.json").read_text()
    with new_bundle(copy) as draft:
        (draft / "manifest.json").write_text(manifest)
    assert [path.name for path in copy.iterdir()] == ["manifest.json"]
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_an_interrupt_leaves_no_partial_bundle(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_half_a_bundle(tmp_path / "b", KeyboardInterrupt())
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_as_the_folder_comes_into_being_leaves_none(tmp_path, monkeypatch):
    make = Path.mkdir

    def interrupted(self, *arguments, **options):
        make(self, *arguments, **options)
        raise SystemExit(143)

    monkeypatch.setattr(Path, "mkdir", interrupted)
    with pytest.raises(SystemExit), new_bundle(tmp_path / "b"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_other_peoples_folders_and_files_are_never_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work")
    with pytest.raises(BundleError, match="is no bundle"), new_bundle(tmp_path / "thesis"):
        pass
    (tmp_path / "file").write_text("x")
    with pytest.raises(BundleError, match="a file or link of that name"), new_bundle(tmp_path / "file"):
        pass
    assert (tmp_path / "thesis" / "chapter1.txt").read_text() == "years of work"


@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_folder_that_may_not_be_written_is_named(tmp_path, mode):
    tmp_path.chmod(mode)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may write anywhere, so be nobody for a moment
    try:
        with (
            pytest.raises(BundleError, match=r"cannot be written[\s\S]*may write to"),
            new_bundle(tmp_path / "b"),
        ):
            pass
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o700)

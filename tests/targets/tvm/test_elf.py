import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevid.errors import TargetError
from edgevid.targets.tvm.board_libraries import LIBRARIES
from edgevid.targets.tvm.cpus import cpu
from edgevid.targets.tvm.cross import build
from edgevid.targets.tvm.elf import NEWEST, check_old_enough, read_needs

SOURCE = """
#include <cstdio>
#include <cmath>
extern "C" double both(double x) { std::printf("%f", x); return std::exp(x); }
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("elf")
    (folder / "both.cc").write_text(SOURCE)
    build(cpu("host"), ["-shared", "-fPIC", str(folder / "both.cc")], folder / "both.so")
    return folder / "both.so"


def test_libraries_and_versions_of_symbols_are_read(library):
    needs = read_needs(library)
    assert needs.machine == cpu("host").architecture
    assert {"libc.so.6", "libm.so.6"} <= set(needs.libraries)
    # `exp` has been given a new version once.
    assert "GLIBC_2.29" in needs.versions
    assert len(needs.versions) >= 2


def test_a_symbol_that_older_boards_lack_is_named(library):
    with pytest.raises(TargetError, match=r"needs GLIBC_2\.29, which older boards lack") as caught:
        check_old_enough(library)
    assert caught.value.where == str(library)
    assert "GLIBC_2.27" in caught.value.fix


def test_the_promise_is_the_system_of_a_jetson_tx2():
    assert (NEWEST["GLIBC"], NEWEST["GLIBCXX"]) == ((2, 27), (3, 4, 22))


@pytest.mark.parametrize("name", LIBRARIES.values())
def test_versions_are_compared_as_numbers(name, library, tmp_path):
    data = library.read_bytes()
    # 2.9 is older than 2.27, and 2.100 newer.
    for version, newer in ((b"GLIBC_2.9\0", False), (b"GLIBC_2.27", False), (b"GLIBC_2.28", True)):
        changed = tmp_path / f"{name.replace('/', '-')}.so"
        changed.write_bytes(data.replace(b"GLIBC_2.29", version))
        if newer:
            with pytest.raises(TargetError, match="older boards lack"):
                check_old_enough(changed)
        else:
            check_old_enough(changed)


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(100)])
def test_what_is_no_library_is_refused(tmp_path, data):
    (tmp_path / "x.so").write_bytes(data)
    with pytest.raises(TargetError, match="not a compiled library") as caught:
        read_needs(tmp_path / "x.so")
    assert caught.value.where == str(tmp_path / "x.so")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(TargetError, match="not a compiled library"):
        read_needs(tmp_path / "x.so")


@given(st.data())
@settings(max_examples=200, derandomize=True, deadline=None)
def test_damage_is_refused_and_nothing_else_is_raised(library, tmp_path_factory, data):
    whole = bytearray(library.read_bytes())
    (headers,) = struct.unpack_from("<Q", whole, 40)
    place = data.draw(st.integers(0, 63) | st.integers(headers, len(whole) - 1))
    whole[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.so"
    path.write_bytes(whole[: data.draw(st.integers(64, len(whole)))])
    with contextlib.suppress(TargetError):
        read_needs(path)

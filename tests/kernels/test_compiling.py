"""Compiled kernels are kept in our cache folder; with no place to write, they run all the same."""

import os
import subprocess
import sys
import time

from longllama_code.kernels.codegen.compiling import KEPT_S, SOURCES, digest_of_sources

KERNEL = """
from longllama_code.kernels.codegen.compiling import kernel

@kernel
def double(x):
    return x * 2
"""
CALLED = """
import numpy as np
from numba import carray
from longllama_code.kernels.codegen.compiling import Callback, kernel
from longllama_code.kernels.sharing.atomics import call, pointer

def _raise_by_one(address):
    carray(pointer(address), (1,), np.int64)[0] += 1

by_one = Callback(_raise_by_one)

@kernel
def raise_by_one(numbers, function):
    call(function, numbers.ctypes.data)

def twice():
    numbers = np.array([41])
    for _ in range(2):
        raise_by_one(numbers, by_one.address)
        yield int(numbers[0])
"""
NO_PLACE = """
from numba.core import caching
caching.CacheImpl._locator_classes = [caching.UserProvidedCacheLocator]
"""


def python(folder, code, cache):
    """Run code in a process of its own, which keeps its kernels in a cache folder."""
    environment = {**os.environ, "LONGLLAMA_CACHE": str(cache)}
    environment.pop("NUMBA_CACHE_DIR", None)
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def run(folder, code, cache):
    (folder / "twice.py").write_text(KERNEL)
    done = python(folder, code + "import twice; print(twice.double(21))", cache)
    assert done.stdout == "42\n", done.stderr
    return done.stderr


def test_they_are_kept_in_the_cache_folder(tmp_path):
    cache = tmp_path / "cache"
    run(tmp_path, "", cache)
    kept = list((cache / "kernels").rglob("twice.double*.nbc"))
    assert len(kept) == 1
    assert not list(tmp_path.glob("__pycache__/*.nbc"))


def test_damaged_ones_are_compiled_again(tmp_path):
    cache = tmp_path / "cache"
    run(tmp_path, "", cache)
    for path in (cache / "kernels").rglob("twice.double*.nb?"):
        path.write_bytes(b"damaged")
    assert "not kept" in run(tmp_path, "", cache)


def test_without_any_place_they_are_compiled_in_memory(tmp_path):
    (tmp_path / "file").write_text("")
    assert "at each start" in run(tmp_path, NO_PLACE, tmp_path / "file" / "cache")


def test_each_state_of_the_sources_has_a_folder_of_its_own(tmp_path):
    """Numba looks at a kernel's own file alone, and would keep constants of others."""
    cache = tmp_path / "cache"
    run(tmp_path, "", cache)
    (folder,) = (cache / "kernels").iterdir()
    assert folder.name == digest_of_sources(SOURCES)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("SIZE = 5")
    before = digest_of_sources(tmp_path / "code")
    (tmp_path / "code" / "a.py").write_text("SIZE = 6")
    changed = digest_of_sources(tmp_path / "code")
    (tmp_path / "code" / "a.py").rename(tmp_path / "code" / "b.py")
    assert len({before, changed, digest_of_sources(tmp_path / "code")}) == 3


def test_kernels_of_other_sources_are_removed_when_nobody_uses_them(tmp_path):
    kernels = tmp_path / "cache" / "kernels"
    for name, age_s in (("recent", 60), ("old", KEPT_S + 60)):
        (kernels / name).mkdir(parents=True)
        (kernels / name / "x.nbc").write_text("")
        os.utime(kernels / name, 2 * (time.time() - age_s,))
    run(tmp_path, "", tmp_path / "cache")
    assert {path.name for path in kernels.iterdir()} == {"recent", digest_of_sources(SOURCES)}


def test_what_is_called_by_its_address_is_compiled_once(tmp_path):
    (tmp_path / "called.py").write_text(CALLED)
    for _ in range(2):
        done = python(tmp_path, "import called; print(*called.twice())", tmp_path / "cache")
        assert done.stdout == "42 43\n", done.stderr
        assert not done.stderr
    kept = list((tmp_path / "cache" / "kernels").rglob("called._raise_by_one*.nbc"))
    assert len(kept) == 1


MARK = "from longllama_code.kernels.codegen.compiling import note_compiled, were_compiled; "


def marked(folder, cache, work, before=""):
    """Whether work is known to be compiled, before and after it is noted, in another process."""
    said = (
        f"print(were_compiled({work!r})); note_compiled({work!r}); print(were_compiled({work!r}))"
    )
    done = python(folder, f"{before}{MARK}{said}", cache)
    return done.stdout.split(), done.stderr


def test_what_is_compiled_is_known_to_later_processes(tmp_path):
    cache = tmp_path / "cache"
    assert marked(tmp_path, cache, "one model")[0] == ["False", "True"]
    assert marked(tmp_path, cache, "one model")[0] == ["True", "True"]
    assert marked(tmp_path, cache, "another model")[0] == ["False", "True"]


def test_what_was_compiled_for_another_cpu_is_compiled_again(tmp_path):
    cache = tmp_path / "cache"
    marked(tmp_path, cache, "one model")
    other = "import llvmlite.binding as llvm; llvm.get_host_cpu_name = lambda: 'other'; "
    assert marked(tmp_path, cache, "one model", other)[0] == ["False", "True"]


def test_what_could_not_be_kept_is_not_known(tmp_path):
    (tmp_path / "twice.py").write_text(KERNEL)
    broken = (
        "from numba.core.caching import FunctionCache as C; import errno\n"
        "def full(self, sig, data): raise OSError(errno.ENOSPC, 'no space left')\n"
        "C.save_overload = full\n"
        "import twice; twice.double(21)\n"
    )
    found, told = marked(tmp_path, tmp_path / "cache", "one model", broken)
    assert found == ["False", "False"]
    assert "not kept" in told

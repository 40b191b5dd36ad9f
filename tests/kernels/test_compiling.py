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
NO_PLACE = """
from numba.core import caching
caching.CacheImpl._locator_classes = [caching.UserProvidedCacheLocator]
"""


def run(folder, code, cache):
    (folder / "twice.py").write_text(KERNEL)
    environment = {**os.environ, "LONGLLAMA_CACHE": str(cache)}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", code + "import twice; print(twice.double(21))"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
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

"""Pages of mapped files that are dropped, and arrays that must not be."""

import sys

import numpy as np
import psutil

from longllama_code.mapped_pages import drop

N_BYTES = 1 << 22


def resident() -> int:
    return psutil.Process().memory_info().rss


def test_a_mapped_file_is_dropped_and_can_be_read_again(tmp_path):
    path = tmp_path / "weights"
    wanted = np.arange(N_BYTES, dtype=np.uint32).astype(np.uint8)
    path.write_bytes(wanted.tobytes())
    mapped = np.asarray(np.memmap(path, np.uint8, "r"))[4096:].reshape(-1, 4096)
    assert mapped.sum() == wanted[4096:].sum()
    before = resident()
    drop(mapped)
    assert sys.platform != "linux" or before - resident() > N_BYTES // 2
    np.testing.assert_array_equal(mapped.ravel(), wanted[4096:])


def test_other_arrays_keep_their_numbers(tmp_path):
    np.save(tmp_path / "written.npy", np.ones(N_BYTES, np.uint8))
    copied = np.memmap(tmp_path / "written.npy", np.uint8, "c")
    copied[:] = 7
    own = np.full(N_BYTES, 7, np.uint8)
    for array in (own, own[1:], copied, np.array(copied)):
        drop(array)
        assert (array == 7).all()

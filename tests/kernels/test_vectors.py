"""Code written out for vectors: the same numbers on a CPU without an instruction for them."""

import numba
import numpy as np
import pytest

from longllama_code.kernels.codegen import vectors
from longllama_code.kernels.codegen.search_tiles import make_code_tile

RNG = np.random.default_rng(7)


@pytest.mark.parametrize("n_keys", [1, 4])
@pytest.mark.parametrize("has_madd", [True, False])
def test_products_of_pairs(monkeypatch: pytest.MonkeyPatch, has_madd: bool, n_keys: int) -> None:
    if has_madd and not vectors.HAS_MADD:
        pytest.skip("this CPU does not multiply and add in one instruction")
    monkeypatch.setattr(vectors, "HAS_MADD", has_madd)
    tile = make_code_tile(3, n_keys)

    @numba.njit
    def products(steps, content, places, key, sums):
        tile(steps, 1, content, places, 0, key, sums)

    steps = RNG.integers(-16383, 16384, (4, 32)).astype(np.int16)
    content = RNG.integers(-127, 128, (9, 50)).astype(np.int8)
    places, key = np.array([8, 0, 3, 5], np.int32), 7
    sums = np.zeros((4, 4), np.int32)
    products(steps, content, places, key, sums)
    keys = content[places, key : key + 32].astype(np.int64)
    wanted = steps.astype(np.int64) @ keys.T
    wanted[0] = 0
    wanted[:, n_keys:] = 0
    np.testing.assert_array_equal(sums, wanted)

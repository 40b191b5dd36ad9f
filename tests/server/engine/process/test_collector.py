"""The garbage collector while a model is loaded, and afterwards."""

import gc

import pytest

from lsp_server.engine.process.collector import collector_off


@pytest.fixture(autouse=True)
def _unfrozen():
    yield
    gc.unfreeze()


def test_it_is_off_meanwhile_and_leaves_out_what_was_made():
    n_frozen = gc.get_freeze_count()
    with collector_off():
        assert not gc.isenabled()
        made = [[number] for number in range(10_000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= n_frozen + len(made)


def test_it_is_on_again_where_loading_fails():
    with pytest.raises(ValueError, match="no model"), collector_off():
        raise ValueError("no model")
    assert gc.isenabled()

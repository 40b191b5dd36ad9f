"""Suffixes of model names that ask for rounded weights."""

import pytest

from longllama_code.weight_kinds import WEIGHT_KINDS, WeightKind, split_weights


@pytest.mark.parametrize("kind", WEIGHT_KINDS)
@pytest.mark.parametrize(
    "model", ["mini", "owner/name", "ollama:q:1.5b", "/folder/with:int8/in it"]
)
def test_a_suffix_is_split_off(model: str, kind: WeightKind) -> None:
    assert split_weights(f"{model}:{kind}") == (model, kind)
    assert split_weights(model) == (model, None)


@pytest.mark.parametrize("name", ["int8", ":int8", "mini:int16", "mini:INT8", "mini:int8:"])
def test_other_names_have_no_suffix(name: str) -> None:
    assert split_weights(name) == (name, None)

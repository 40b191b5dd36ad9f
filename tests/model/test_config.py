"""What a configuration cannot mean is refused, by name, value and remedy."""

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import StrictDataclassError

from longllama_code.config import LongLlamaConfig
from longllama_code.errors import ConfigError


def config(**overrides: Any) -> LongLlamaConfig:
    shape = {"num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}
    return LongLlamaConfig(**{"hidden_size": 32, "mem_layers": [1], **shape, **overrides})


LINEAR = {"rope_type": "linear", "factor": 2.0}
DYNAMIC = {"rope_type": "dynamic", "factor": 2.0}


@pytest.mark.parametrize(
    ("fields", "found", "remedy"),
    [
        ({"mem_layers": [3]}, "layer 3", "Name existing layers"),
        ({"mem_layers": [-1]}, "layer -1", "from 0 to 2"),
        ({"mem_layers": [1, 1]}, r"\[1, 1\]", "each layer once"),
        ({"mem_dtype": "int8"}, '"int8"', "choose one of .*bfloat16"),
        ({"mem_query_position": -1}, "mem_query_position is -1", "0 or more"),
        ({"infill_marks": [1, 2, 3]}, r"\[1, 2, 3\]", "two token ids"),
        ({"last_context_length": 0}, "last_context_length is 0", "give 1 or more"),
        ({"mem_attention_grouping": [1, 2, 3]}, r"\[1, 2, 3\]", "two positive numbers"),
        ({"mem_attention_grouping": [0, 4]}, r"\[0, 4\]", "two positive numbers"),
        ({"mem_heads": {"2": [0]}}, r'\["2"\].*\[1\]', "the same layers"),
        ({"mem_heads": {"one": [0]}}, '"one"', "the same layers"),
        ({"mem_heads": {"1": []}}, r"layer 1 are \[\]", "at least one"),
        ({"mem_heads": {"1": [2]}}, r"\[2\]", "from 0 to 1"),
        ({"mem_heads": {"1": [0, 0]}}, r"\[0, 0\]", "each once"),
        ({"rope_scaling": DYNAMIC}, '"factor": 2.0', "rope_scaling to null"),
        ({"rope_parameters": {**DYNAMIC, "rope_theta": 1e4}}, '"dynamic"', "null or one of linear"),
    ],
    ids=str,
)
def test_contradictions_are_refused(fields: dict[str, Any], found: str, remedy: str) -> None:
    with pytest.raises(ConfigError, match=found) as error:
        config(**fields)
    with pytest.raises(ConfigError, match=remedy):
        raise error.value


@pytest.mark.parametrize("fields", [{"mem_layers": None}, {"mem_heads": {"1": "all"}}], ids=str)
def test_wrong_types_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(StrictDataclassError, match=next(iter(fields))):
        config(**fields)


def test_rotation_may_be_scaled() -> None:
    """Beside memory too, where it does not depend on the length of the text."""
    assert config(rope_scaling=LINEAR).rope_parameters["factor"] == 2.0
    assert config(mem_layers=[], rope_scaling=DYNAMIC).rope_parameters["factor"] == 2.0
    assert config(rope_scaling={"rope_type": "default"}).mem_layers == [1]


def test_memory_heads() -> None:
    assert [config().memory_heads(layer) for layer in range(3)] == [(), (0, 1), ()]
    assert config(num_key_value_heads=None).memory_heads(1) == (0, 1, 2, 3)
    assert config(mem_heads={"1": [1]}).memory_heads(1) == (1,)
    assert config(mem_heads={"1": [1, 0]}).memory_heads(1) == (0, 1)


def test_round_trip(tmp_path: Path) -> None:
    fields = {
        "mem_heads": {"1": [1]},
        "mem_dtype": "float16",
        "mem_positionals": False,
        "mem_attention_grouping": [2, 64],
        "last_context_length": 12,
        "torch_attention": True,
        "qkv_bias": True,
    }
    config(**fields, rope_theta=1e6).save_pretrained(tmp_path)
    loaded = LongLlamaConfig.from_pretrained(tmp_path)
    assert {name: getattr(loaded, name) for name in fields} == fields
    assert loaded.rope_parameters == {"rope_type": "default", "rope_theta": 1e6}
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "longllama"

"""LongLLaMA's configuration for transformers: Llama's, with the fields of memory layers."""

from typing import Any, cast

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, LlamaConfig

from longllama_code.errors import ConfigError
from longllama_code.json_text import as_json
from longllama_code.model_config import ModelConfig

STEADY_ROTATIONS = ("default", "linear", "llama3", "yarn")
"""Kinds of rotary scaling that do not depend on the length of the text."""


@strict
class LongLlamaConfig(ModelConfig, LlamaConfig):  # pyright: ignore[reportIncompatibleVariableOverride]
    """Configuration of ``LongLlamaForCausalLM``.

    ``max_position_embeddings`` is the window: the most tokens that attend to each other locally.
    ``rope_theta`` of a published ``config.json`` is stored in ``rope_parameters``.
    """

    model_type = "longllama"

    def __post_init__(self, **kwargs: Any) -> None:
        """Apply Llama's rules, then check the fields of memory layers.

        Raises:
            ConfigError: fields contradict each other.
        """
        super().__post_init__(**kwargs)
        self._check_rotation()
        self.check_memory()

    def _check_rotation(self) -> None:
        """Refuse scalings that change as the text grows: stored keys keep their old rotation.

        ``rope_scaling`` of a ``config.json`` is a part of ``rope_parameters`` by now.
        """
        scaling = cast("dict[str, Any]", self.rope_parameters)
        if self.mem_layers and scaling["rope_type"] not in STEADY_ROTATIONS:
            raise ConfigError(
                f"rope_scaling is {as_json(scaling)} with mem_layers {as_json(self.mem_layers)}: "
                "this rotation of keys changes as the text grows, but keys in memory do not. Set "
                f"rope_scaling to null or one of {', '.join(STEADY_ROTATIONS[1:])} in config.json."
            )


AutoConfig.register("longllama", LongLlamaConfig)

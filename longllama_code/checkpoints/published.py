"""The published checkpoints of the LongLLaMA family: repository, licence and configuration.

Sources: the README of github.com/CStanKonrad/long_llama (memory layers, windows, licences), the
file lists of its repositories on the model hub (shards, types), and the published
``config.json`` of the base models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

GB = 10**9
LLAMA_2 = "Llama 2 Community License, https://ai.meta.com/llama/license"
APACHE = "Apache-2.0"
RESEARCH = "for research purposes only, as data of others tuned it"

_LLAMA: Mapping[str, Any] = {
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "initializer_range": 0.02,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
    "use_cache": True,
    "torch_dtype": "bfloat16",
    "rope_scaling": None,
    "num_attention_heads": 32,
}
_MEMORY: Mapping[str, Any] = {
    "architectures": ["LongLlamaForCausalLM"],
    "auto_map": {
        "AutoConfig": "configuration_longllama.LongLlamaConfig",
        "AutoModel": "modeling_longllama.LongLlamaModel",
        "AutoModelForCausalLM": "modeling_longllama.LongLlamaForCausalLM",
    },
    "model_type": "longllama",
    "last_context_length": 1024,
    "mem_attention_grouping": None,
    "mem_dtype": "bfloat16",
    "mem_positionals": True,
    "torch_attention": False,
}
_PLAIN: Mapping[str, Any] = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
_3B: Mapping[str, Any] = {
    "hidden_size": 3200,
    "intermediate_size": 8640,
    "max_position_embeddings": 2048,
    "num_hidden_layers": 26,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "vocab_size": 32000,
}
_7B: Mapping[str, Any] = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "rms_norm_eps": 1e-5,
}
_LONG_3B = {**_LLAMA, **_MEMORY, **_3B, "mem_layers": [6, 12, 18]}
_LONG_CODE = {
    **_LLAMA,
    **_MEMORY,
    **_7B,
    "max_position_embeddings": 4096,
    "mem_layers": [8, 16, 24],
    "rope_theta": 1e6,
    "vocab_size": 32016,
}
_CODE_LLAMA = {
    **_LLAMA,
    **_PLAIN,
    **_7B,
    "max_position_embeddings": 16384,
    "rope_theta": 1e6,
    "vocab_size": 32016,
}
_LLAMA_32K = {
    **_LLAMA,
    **_PLAIN,
    **_7B,
    "max_position_embeddings": 32768,
    "rope_scaling": {"factor": 8.0, "type": "linear"},
    "rope_theta": 10000.0,
    "vocab_size": 32000,
}
_SMALL: Mapping[str, int] = {
    "hidden_size": 64,
    "intermediate_size": 176,
    "num_attention_heads": 4,
    "vocab_size": 656,
}


@dataclass(frozen=True)
class Published:
    """A checkpoint of the family.

    Attributes:
        summary: one line for the user.
        repository: its name on the model hub.
        licence: what its publisher allows.
        accepted: whether fetching it needs the user's consent to the licence.
        fields: its ``config.json``.
        shard_bytes: most bytes of a file of weights.
        revision: the commit on the hub; absent, the newest when it is first pulled.
    """

    summary: str
    repository: str
    licence: str
    accepted: bool
    fields: Mapping[str, Any] = field(repr=False)
    shard_bytes: int = 10 * GB
    revision: str | None = None

    def scaled(self, scale: str) -> dict[str, Any]:
        """Return its ``config.json`` in full or, for tests, with every size but the depth reduced.

        The number of layers stays, and so do the names of the weights.
        """
        fields = dict(self.fields)
        if scale == "small":
            window = min(int(fields["max_position_embeddings"]) // 16, 256)
            fields |= {**_SMALL, "max_position_embeddings": window}
            fields |= {"last_context_length": window // 2} if "mem_layers" in fields else {}
        return fields


FAMILY: Mapping[str, Published] = {
    "code-7b": Published(
        summary="LongLLaMA-Code 7B; 13.5 GB to fetch",
        repository="syzymon/long_llama_code_7b",
        licence=LLAMA_2,
        accepted=True,
        fields=_LONG_CODE,
        revision="c682b6d38cc2ed31bf753edd6362ffc3425a4516",
    ),
    "code-7b-instruct": Published(
        "LongLLaMA-Code 7B Instruct; 13.5 GB to fetch",
        "syzymon/long_llama_code_7b_instruct",
        f"{LLAMA_2}; {RESEARCH}",
        accepted=True,
        fields=_LONG_CODE,
    ),
    "3b": Published(
        "LongLLaMA-3B; 6.9 GB to fetch; merges runs of blanks, so no model for code",
        "syzymon/long_llama_3b",
        APACHE,
        accepted=False,
        fields=_LONG_3B,
    ),
    "3b-v1.1": Published(
        "LongLLaMA-3Bv1.1; 6.9 GB to fetch",
        "syzymon/long_llama_3b_v1_1",
        APACHE,
        accepted=False,
        fields=_LONG_3B,
    ),
    "3b-instruct": Published(
        "LongLLaMA-Instruct-3Bv1.1; 6.9 GB to fetch",
        "syzymon/long_llama_3b_instruct",
        RESEARCH,
        accepted=True,
        fields=_LONG_3B,
    ),
    "open-llama-3b": Published(
        "OpenLLaMA-3B, without memory layers; 6.9 GB to fetch",
        "openlm-research/open_llama_3b",
        APACHE,
        accepted=False,
        fields={**_LLAMA, **_PLAIN, **_3B},
        revision="141067009124b9c0aea62c76b3eb952174864057",
    ),
    "open-llama-3b-v2": Published(
        "OpenLLaMA-3Bv2, without memory layers; 6.9 GB to fetch",
        "openlm-research/open_llama_3b_v2",
        APACHE,
        accepted=False,
        fields={**_LLAMA, **_PLAIN, **_3B},
        revision="bce5d60d3b0c68318862270ec4e794d83308d80a",
    ),
    "code-llama-7b": Published(
        "Code Llama 7B, without memory layers; 13.5 GB to fetch",
        "codellama/CodeLlama-7b-hf",
        LLAMA_2,
        accepted=True,
        fields=_CODE_LLAMA,
        revision="6c284d1468fe6c413cf56183e69b194dcfa27fe6",
    ),
    "llama-2-7b-32k": Published(
        "Llama 2 7B with a window of 32,768, without memory layers; 13.5 GB to fetch",
        "togethercomputer/LLaMA-2-7B-32K",
        LLAMA_2,
        accepted=True,
        fields=_LLAMA_32K,
        revision="46c24bb5aef59722fa7aa6d75e832afd1d64b980",
    ),
}
"""Every checkpoint of the family, by the name that the user types."""

"""Write checkpoints with random weights in the exact layout and size of the published ones.

With them, everything that depends on sizes, names, files and types can be tested at full size
without a model hub. A shard is laid out first without its content, then filled
tensor by tensor, so memory holds one tensor however large the file is.
"""

from __future__ import annotations

import io
import json
import shutil
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import sentencepiece
import torch
from huggingface_hub import split_torch_state_dict_into_shards
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

import longllama_code
from longllama_code.checkpoints.loading import config_of
from longllama_code.checkpoints.published import Published
from longllama_code.errors import CheckpointError
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.tokenizers.sentencepiece import MARKS, MODEL_FILE

Progress = Callable[[str, float], None]
"""Called with each finished file, and the fraction of all bytes written so far (0 to 1)."""
MAX_PIECES = 4000
"""Size of the vocabulary that is trained here; the model's other ids are unused."""
_TRAINING_CHARS = 3_000_000


def write_random(
    published: Published,
    folder: Path,
    *,
    scale: str = "full",
    seed: int = 0,
    shard_bytes: int | None = None,
    progress: Progress = lambda _, __: None,
) -> None:
    """Write a checkpoint; its ``config.json`` comes last.

    Args:
        published: what to imitate.
        folder: a new or empty folder.
        scale: ``full``, or ``small`` for tests.
        seed: of the weights.
        shard_bytes: most bytes of a file of weights; absent, as published.
        progress: called after each file.

    Raises:
        CheckpointError: the folder is not empty, or the disk has not enough room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise CheckpointError(f"{folder} is not empty; name a new folder.")
    fields = published.scaled(scale)
    shapes = weight_shapes(fields)
    _check_room(folder, shapes)
    write_vocabulary(folder, int(fields["vocab_size"]))
    _write_shards(folder, shapes, shard_bytes or published.shard_bytes, seed, progress)
    _write_json(folder / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2})
    _write_json(folder / "config.json", fields)


def weight_shapes(fields: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return each weight's name and an empty tensor."""
    with torch.device("meta"):
        model = LongLlamaForCausalLM(config_of(dict(fields)))
    dtype: torch.dtype = getattr(torch, fields["torch_dtype"])
    return {name: weight.to(dtype) for name, weight in model.state_dict().items()}


def write_vocabulary(folder: Path, vocab_size: int) -> None:
    """Train a ``tokenizer.model`` of Code Llama's kind on the Python sources of this machine."""
    model = io.BytesIO()
    cast("Any", sentencepiece.SentencePieceTrainer).train(
        sentence_iterator=_source_lines(),
        model_writer=model,
        model_type="bpe",
        vocab_size=min(vocab_size, MAX_PIECES) - 16,  # Code Llama's head has rows to spare
        byte_fallback=True,
        character_coverage=0.9999,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        split_digits=True,
        user_defined_symbols=list(MARKS),
        minloglevel=2,
    )
    (folder / MODEL_FILE).write_bytes(model.getvalue())
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    _write_json(folder / "special_tokens_map.json", names)
    fields = {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False}
    _write_json(folder / "tokenizer_config.json", {**fields, **names})


def _source_lines() -> Iterator[str]:
    """Yield lines of this package and of Python's standard library."""
    n_chars = 0
    for root in (Path(longllama_code.__file__).parent, Path(sysconfig.get_path("stdlib"))):
        for path in sorted(root.glob("*.py")):
            text = path.read_text("utf-8", "replace")
            yield from (line for line in text.split("\n") if line.strip())
            n_chars += len(text)
            if n_chars > _TRAINING_CHARS:
                return


def _check_room(folder: Path, shapes: Mapping[str, Tensor]) -> None:
    needed, free = sum(map(_n_bytes, shapes.values())), shutil.disk_usage(folder).free
    if needed > free:
        raise CheckpointError(
            f"the weights have {needed / 1e9:.1f} GB and the disk of {folder} has "
            f"{free / 1e9:.1f} GB free; name a folder on a larger disk."
        )


def _write_shards(
    folder: Path, shapes: dict[str, Tensor], shard_bytes: int, seed: int, progress: Progress
) -> None:
    split = split_torch_state_dict_into_shards(
        shapes, filename_pattern="pytorch_model{suffix}.bin", max_shard_size=shard_bytes
    )
    total, written = sum(map(_n_bytes, shapes.values())), 0
    generator = torch.Generator().manual_seed(seed)
    for file, names in split.filename_to_tensors.items():
        _write_shard(folder / file, {name: shapes[name] for name in names}, generator)
        written += sum(_n_bytes(shapes[name]) for name in names)
        progress(file, written / total)
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        _write_json(folder / "pytorch_model.bin.index.json", index)


def _write_shard(path: Path, shapes: Mapping[str, Tensor], generator: torch.Generator) -> None:
    """Write a file in ``torch.save``'s format: first sparse, then filled."""
    with FakeTensorMode():
        hollow = {name: torch.empty(like.shape, dtype=like.dtype) for name, like in shapes.items()}
    with torch.serialization.skip_data(materialize_fake_tensors=True):
        torch.save(hollow, path)
    reader = cast("Any", torch)._C.PyTorchFileReader(str(path))
    with path.open("r+b") as file:
        for number, like in enumerate(shapes.values()):
            file.seek(reader.get_record_offset(f"data/{number}"))
            _fill(file, like, generator)


def _fill(file: BinaryIO, like: Tensor, generator: torch.Generator) -> None:
    """Fill norms with ones, other weights with normal numbers of ``initializer_range``."""
    weight = torch.ones(like.shape, dtype=like.dtype)
    if like.ndim > 1:
        weight.normal_(std=0.02, generator=generator)
    file.write(weight.view(torch.uint8).numpy().tobytes())


def _n_bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _write_json(path: Path, fields: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")

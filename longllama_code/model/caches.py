"""Cache of the local context: rotated keys and values of the tokens that all layers still see.

When the next tokens do not fit in the window, the whole local context leaves it: memory layers
absorb it, other layers drop it (source: ``modeling_longllama.py:LongLlamaAttention.forward``).
Rotation counts from the window's first token, so a key is rotated once and stays valid until then.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from longllama_code.model.attention_mass import AttentionMass
from longllama_code.model.buffer import GrowingTensor
from longllama_code.model.memory_source import InContextMemory
from longllama_code.model_config import ModelConfig

LayerRows = Sequence[tuple[Tensor, Tensor]]
"""Keys and values of some tokens in each layer, each (G, n, D); heads need not be adjacent."""


class LayerCache:
    """Local context of one layer."""

    def __init__(self) -> None:
        self.rotated = GrowingTensor(dim=-2)
        self.stored_values = GrowingTensor(dim=-2)
        self.position_zero_keys = GrowingTensor(dim=-2)

    def buffers(self) -> tuple[GrowingTensor, ...]:
        """Return every buffer of this layer."""
        return self.rotated, self.stored_values, self.position_zero_keys


class LongLlamaCache:
    """Local context of every layer, the memory that it spills into, and the positions of both.

    ``GenerationCache`` is one for transformers' ``generate``.

    Args:
        config: the model's.
        spills: whether tokens that leave the window go to memory; otherwise they are dropped.
    """

    def __init__(self, config: ModelConfig, *, spills: bool = True) -> None:
        self.layers = [self._new_layer() for _ in range(config.num_hidden_layers)]
        self._config = config
        self._spills = spills
        self.mass: AttentionMass | None = None
        """What attention to segments of the local context is added to."""
        self._clear()

    def _clear(self) -> None:
        self.memory = InContextMemory(self._config)
        self.first_position: Tensor | None = None
        self.next_position: Tensor | None = None
        self.local_length = 0
        self._gap, self._placed = 0, range(0)

    @property
    def seen_tokens(self) -> int:
        """Number of tokens in the local context and in memory."""
        return len(self.memory) + self.local_length

    @property
    def following(self) -> int:
        """Position of the next token of one sequence, from the window's first token.

        It is the number of tokens in the local context, unless ``place`` set it apart.
        """
        return self.local_length + self._gap

    @property
    def nbytes(self) -> int:
        """Bytes of the local keys and values."""
        return sum(buffer.nbytes for layer in self.layers for buffer in layer.buffers())

    def begin(self, position_ids: Tensor, visible: Tensor) -> Tensor:
        """Make room for S tokens; return their positions relative to the window's first token.

        Args:
            position_ids: (B, S) absolute positions of the new tokens.
            visible: bool (B, local + S), False for cached and new tokens that are padding.
        """
        n_tokens = position_ids.shape[1]
        if self.local_length and self.local_length + n_tokens > self._config.window:
            self._spill(visible[:, : self.local_length])
        if self.local_length == 0:
            self.first_position = position_ids.min(dim=1, keepdim=True).values
        self.next_position = position_ids.max(dim=1, keepdim=True).values + 1
        self.local_length += n_tokens
        assert self.first_position is not None
        return position_ids - self.first_position

    def append(
        self, layer_idx: int, rotated: Tensor, position_zero_keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Append one layer's new keys and values, each (B, G, S, D).

        Returns:
            All local keys and values, each (B, G, L, D).
        """
        layer = self.layers[layer_idx]
        if self._spills and layer_idx in self._config.mem_layers:
            layer.position_zero_keys.append(position_zero_keys)
        return layer.rotated.append(rotated), layer.stored_values.append(values)

    def make_room(self, layer_idx: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Make room for new keys and values that the caller writes; the cache must not spill.

        Args:
            layer_idx: the layer.
            like: tensor with the shape (B, G, S, D) of the new keys; its numbers are not read.

        Returns:
            Buffers of keys and values, each (B, G, room, D); the new rows are uninitialized.
        """
        layer = self.layers[layer_idx]
        return layer.rotated.make_room(like), layer.stored_values.make_room(like)

    def snapshot(self, first: int = 0) -> tuple[Tensor, Tensor]:
        """Return copies of the rotated keys and the values of one sequence, (layers, G, S, D).

        Args:
            first: first token.
        """
        layers = self.layers
        keys = torch.stack([layer.rotated.view()[0, :, first:] for layer in layers])
        return keys, torch.stack([layer.stored_values.view()[0, :, first:] for layer in layers])

    def restore(self, keys: Tensor, values: Tensor) -> None:
        """Replace the content by what ``snapshot`` returned; the cache must not spill."""
        self.truncate(0)
        self.place(keys, values, keys.shape[2])

    def room_for(self, like: Tensor, following: int) -> LayerRows:
        """Append tokens as ``place`` does, whose keys and values the caller writes at once.

        Args:
            like: tensor with the shape (G, n, D) of a layer's keys; its numbers are not read.
            following: position of the next token, from the window's first token.
        """
        first, last = self.local_length, self.local_length + like.shape[1]
        rows = [
            tuple(part[0, :, first:last] for part in self.make_room(layer_idx, like[None]))
            for layer_idx in range(len(self.layers))
        ]
        self._note_placed(like.shape[1], following, like.device)
        return [(keys, values) for keys, values in rows]

    def place(self, keys: Tensor, values: Tensor, following: int) -> None:
        """Append tokens of one sequence that were processed elsewhere; the cache must not spill.

        Args:
            keys: rotated keys (layers, G, n, D).
            values: (layers, G, n, D).
            following: position of the next token, from the window's first token. The number of
                tokens and this position are independent: tokens may stand at the same position.
        """
        for layer_idx, (rotated, value) in enumerate(zip(keys, values, strict=True)):
            self.append(layer_idx, rotated[None], rotated[None], value[None])
        self._note_placed(keys.shape[2], following, keys.device)

    def extend(self, keys: Tensor, values: Tensor) -> None:
        """Append tokens of one sequence that were processed elsewhere, at the next positions.

        Args:
            keys: keys (layers, G, n, D), rotated by these positions.
            values: (layers, G, n, D).
        """
        for layer_idx, (rotated, value) in enumerate(zip(keys, values, strict=True)):
            self.append(layer_idx, rotated[None], rotated[None], value[None])
        assert self.next_position is not None
        self.local_length += keys.shape[2]
        self.next_position = self.next_position + keys.shape[2]

    def _note_placed(self, n_tokens: int, following: int, device: torch.device) -> None:
        assert not self._gap, "tokens that were placed before say where the next one stands"
        first = self.local_length
        if not first:
            self.first_position = torch.zeros(1, 1, dtype=torch.int64, device=device)
        assert self.first_position is not None
        self.local_length += n_tokens
        self.next_position = self.first_position + following
        self._gap = following - self.local_length
        self._placed = range(first, self.local_length) if self._gap else range(0)

    def take(self, other: "LongLlamaCache", length: int) -> None:
        """Replace the content by copies of the first tokens of another cache; neither may spill.

        Args:
            other: the cache.
            length: number of its tokens; those that ``place`` appended go together.
        """
        self.truncate(0)
        if not length:
            return
        for mine, theirs in zip(self.layers, other.layers, strict=True):
            for buffer, source in zip(mine.buffers(), theirs.buffers(), strict=True):
                if len(source):
                    buffer.append(source.view().narrow(-2, 0, length))
        self.first_position, self.next_position = other.first_position, other.next_position
        self._gap, self._placed, self.local_length = other._gap, other._placed, other.local_length
        self.truncate(length)

    def truncate(self, length: int) -> None:
        """Drop the local tokens from index ``length`` on.

        Tokens that ``place`` appended at positions other than their own are kept or dropped as one.
        """
        dropped = self.local_length - length
        if dropped <= 0:
            return
        for layer in self.layers:
            for buffer in layer.buffers():
                buffer.truncate(length)
        self.local_length = length
        if self.next_position is not None:
            self.next_position = self.next_position - dropped
        if length < self._placed.stop:
            self._drop_placed(length)

    def _drop_placed(self, length: int) -> None:
        assert length <= self._placed.start, "tokens that were placed together go together"
        if self.next_position is not None:
            self.next_position = self.next_position - self._gap
        self._gap, self._placed = 0, range(0)

    def _spill(self, visible: Tensor) -> None:
        for layer_idx, layer in enumerate(self.layers):
            if self._spills and layer_idx in self._config.mem_layers:
                keys = layer.position_zero_keys.view()
                self.memory.absorb(layer_idx, keys, layer.stored_values.view())
            for buffer in layer.buffers():
                buffer.truncate(0)
        self.memory.absorb_visibility(visible)
        self.local_length = 0
        self._gap, self._placed = 0, range(0)

    def _new_layer(self) -> LayerCache:
        return LayerCache()

    def reset(self) -> None:
        """Drop everything."""
        self.layers[:] = [self._new_layer() for _ in self.layers]
        self._clear()

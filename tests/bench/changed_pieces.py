"""Changes of encoded definitions: rounded, scaled, or their first tokens encoded again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from tests.bench.definition_cursors import Cursor, Model, Piece, encoded, placed


def by_steps(numbers: Tensor, bits: int, dim: int) -> Tensor:
    """Round numbers to equal steps between the least and the greatest along a dimension."""
    low, high = numbers.aminmax(dim=dim, keepdim=True)
    low, step = low.half().float(), ((high - low) / (2**bits - 1)).clamp_min(1e-8).half().float()
    step = step.clamp_min(1e-7)
    return ((numbers - low) / step).round().clamp(0, 2**bits - 1) * step + low


def in_groups(numbers: Tensor, bits: int, dim: int, size: int) -> Tensor:
    """Round in groups along a dimension: of tokens for keys, of a token's channels for values."""
    parts = numbers.split(size, dim)
    return torch.cat([by_steps(part, bits, dim) for part in parts], dim)


def spread_evenly(numbers: Tensor) -> Tensor:
    """Multiply vectors (…, D) with an orthogonal matrix that spreads outliers (Hadamard's)."""
    size = numbers.shape[-1]
    matrix = torch.ones(1, 1)
    while len(matrix) < size:
        matrix = torch.cat((torch.cat((matrix, matrix), 1), torch.cat((matrix, -matrix), 1)))
    return numbers @ (matrix / size**0.5)


def rounded(
    model: Model,
    n_head: int,
    key_bits: int,
    value_bits: int,
    value_group: int = 64,
    *,
    spreads: bool = False,
    first_layers: int = 0,
) -> Callable[[list[Piece]], list[Piece]]:
    """Return a function that rounds pieces: keys without rotation by channel, values by token."""

    def change(pieces: list[Piece]) -> list[Piece]:
        changed = list[Piece]()
        for piece in pieces:
            positions = torch.arange(n_head, n_head + len(piece.ids))
            keys, values = model.turned(piece.rows[0].float(), -positions), piece.rows[1].float()
            of_keys = in_groups(keys, key_bits, 2, 128)
            if key_bits < 8 and first_layers:
                of_keys[:first_layers] = in_groups(keys[:first_layers], 8, 2, 128)
            of_values = spread_evenly(values) if spreads else values
            of_values = in_groups(of_values, value_bits, 3, value_group)
            of_values = spread_evenly(of_values) if spreads else of_values
            changed.append(Piece(piece.ids, (model.turned(of_keys, positions), of_values)))
        return changed

    return change


def scaled(factor: float) -> Callable[[list[Piece]], list[Piece]]:
    """Return a function that multiplies memory's scores."""
    return lambda pieces: [
        replace(piece, rows=(piece.rows[0] * factor, piece.rows[1])) for piece in pieces
    ]


def begun_again(model: Model, cursor: Cursor, n_first: int) -> list[Piece]:
    """Return pieces whose first tokens are encoded again behind the pieces before them."""
    head, changed = Piece(cursor.head, encoded(model, [], cursor.head)), list[Piece]()
    for piece in cursor.pieces:
        if not changed:
            changed.append(piece)
            continue
        seen = placed(head, changed, f"again {len(changed)}")
        # They keep their positions, which begin behind the head.
        at_head = replace(seen, following=len(cursor.head))
        decoder, n_new = model.decoder(), min(n_first, len(piece.ids))
        with torch.inference_mode():
            decoder._go_back([*cursor.head, -1], None, at_head)
            decoder._forward(piece.ids[:n_new], None)
            opening = decoder.snapshot()
        rows = tuple(part.clone() for part in piece.rows)
        rows[0][:, :, :n_new] = opening.keys[:, :, seen.n_rows :]
        rows[1][:, :, :n_new] = opening.values[:, :, seen.n_rows :]
        changed.append(Piece(piece.ids, (rows[0], rows[1])))
    return changed

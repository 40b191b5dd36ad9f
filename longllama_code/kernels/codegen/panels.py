"""Layout of woven weights: see ``kernels/weaving.py``."""

from dataclasses import dataclass

from longllama_code.kernels.codegen.block_levels import CHUNK
from longllama_code.kernels.codegen.vectors import N_REGISTERS

LANES = 16 if N_REGISTERS > 16 else 8
"""Outputs of a vector."""
VECTORS = 2
OUTPUTS = VECTORS * LANES
"""Outputs of a panel."""
QUAD = 4
"""Neighbouring weights of an output, which one instruction multiplies and adds."""
QUADS = CHUNK // QUAD
"""Quads of a chunk."""
SUPER = 8
"""Chunks that share units, in kinds with codes."""


@dataclass(frozen=True)
class Fields:
    """Sizes of what a panel keeps of a kind's chunks, in bytes for one output.

    A panel is a row of blocks, each of one chunk, or of ``SUPER`` in kinds with codes. A block
    begins with its units; each of its chunks has low bits, high bits and codes.
    """

    low: int
    """16 for 4 bits, 32 for 8."""
    high: int
    """0, 4 for a fifth bit, 8 for two more bits."""
    codes: int
    """Codes of a chunk's scales and offsets: 0, or 2."""
    units: int
    """Bytes of a block's float16 numbers."""
    zero: int
    """Level that stands for zero."""

    @property
    def n_chunks(self) -> int:
        """Chunks of a block."""
        return SUPER if self.codes else 1

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk without the block's units."""
        return OUTPUTS * (self.low + self.high + self.codes)

    @property
    def block_bytes(self) -> int:
        """Bytes of a block."""
        return OUTPUTS * self.units + self.n_chunks * self.chunk_bytes


FIELDS = [
    Fields(CHUNK // 2, 0, 0, 2, 8),  # Q4_0
    Fields(CHUNK // 2, 0, 0, 4, 0),  # Q4_1
    Fields(CHUNK // 2, 4, 0, 2, 16),  # Q5_0
    Fields(CHUNK // 2, 4, 0, 4, 0),  # Q5_1
    Fields(CHUNK, 0, 0, 2, 128),  # Q8_0
    Fields(CHUNK // 2, 0, 2, 4, 0),  # Q4_K
    Fields(CHUNK // 2, 4, 2, 4, 0),  # Q5_K
    Fields(CHUNK // 2, 8, 2, 2, 32),  # Q6_K
]
"""Fields by kind."""

"""A model with everything that the completers of several repositories share."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from longllama_code.generation.decoding.decoder import Decoder
from longllama_code.generation.decoding.healing import TokenHealer
from longllama_code.generation.decoding.reading_speed import ReadingSpeed
from longllama_code.generation.decoding.stored_openings import KeptOpenings
from longllama_code.generation.definition_memory.kept_definitions import KeptDefinitions
from longllama_code.generation.definition_memory.memory import DefinitionMemory
from longllama_code.generation.prompting.infill import InfillMarks, end_ids, never_written
from longllama_code.generation.prompting.prepared_prompt import FileReading
from longllama_code.generation.prompting.shown_rows import ShownRows
from longllama_code.generation.prompting.warm_prompts import MAX_BYTES, WarmReadings
from longllama_code.kernels.sharing.threads import ALONE
from longllama_code.model.by_kernels.kernel_model import KernelModel
from longllama_code.tokenizers.tokenizer import Tokenizer

if TYPE_CHECKING:
    from longllama_code.model.any_model import AnyModel


class CompletionModel:
    """Model, tokenizer, and the caches of prompts that were processed before.

    Args:
        model: the model.
        tokenizer: the model's.
        kernels: the same model run by kernels, if there are any for it.
        context_bytes: most bytes of keys and values of processed prompts.
        openings: prompts that were processed by earlier processes; None for none.
        definitions: encoded definitions; None keeps them in RAM.
    """

    def __init__(
        self,
        model: AnyModel,
        tokenizer: Tokenizer,
        kernels: KernelModel | None = None,
        context_bytes: int = MAX_BYTES,
        openings: KeptOpenings | None = None,
        definitions: KeptDefinitions | None = None,
    ) -> None:
        self.config = model.config
        self.tokenizer = tokenizer
        self.openings = openings or KeptOpenings(None, model.config)
        self.healer = TokenHealer(tokenizer)
        self.marks = InfillMarks.of(model.config, tokenizer)
        self.ends = end_ids(tokenizer, self.marks)
        self.shown_rows = ShownRows(tokenizer, self.marks)
        self.threads = ALONE if kernels is None else kernels.threads
        forbidden = never_written(tokenizer, self.marks, model.config.vocab_size)
        self.speed = ReadingSpeed()
        make_decoder = partial(Decoder, model, forbidden, kernels, self.speed)
        self.readings = WarmReadings(partial(FileReading, make_decoder), context_bytes)
        self.definitions: DefinitionMemory | None = None
        """Definitions as memory, for models that are trained to fill in."""
        if self.marks is not None and self.marks.always:
            kept = definitions or KeptDefinitions.in_ram(model.config)
            rotary = model.model.rotary
            self.definitions = DefinitionMemory(make_decoder, rotary, tokenizer, self.marks, kept)

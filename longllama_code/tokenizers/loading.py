"""Loading of a model folder's tokenizer, of whichever kind it is."""

from pathlib import Path

from longllama_code.tokenizers.sentencepiece import MODEL_FILE, SentencePieceTokenizer
from longllama_code.tokenizers.tokenizer import FastTokenizer, Tokenizer, is_byte_level


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load the tokenizer of a model's folder: byte-level BPE, or else sentencepiece.

    LLaMA's folders often contain a ``tokenizer.json``, too, which is not byte-level.

    Raises:
        CheckpointError: neither can be read.
    """
    # A tokenizer.json has megabytes, so it is looked into only where there is a choice.
    if not (folder / MODEL_FILE).is_file() or is_byte_level(folder):
        return FastTokenizer.from_folder(folder)
    return SentencePieceTokenizer.from_folder(folder)

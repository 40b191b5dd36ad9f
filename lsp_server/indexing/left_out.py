"""Why files are left out of memory, in words, with the setting that decides it."""

from longllama_code.source_files.source_text import Exclusion
from lsp_server.indexing.reindex_policy import BUDGET, CRASHES_ENGINE, FAILED
from lsp_server.settings.declarations import Memory

_LEFT_OUT = {
    Exclusion.IGNORED.value: (
        "a .gitignore or a .longllamaignore file leaves it out, or longllama.memory.include"
        " or longllama.memory.exclude"
    ),
    FAILED: "the engine failed on it, and its log says why; longllama.reindex tries it again",
    CRASHES_ENGINE: "the engine died over it, more than once; longllama.reindex tries it again",
}


def why_left_out(code: str | None, size_bytes: int, memory: Memory) -> str | None:
    """Describe why a file is not in memory, with the setting that decides it; None if it is.

    Args:
        code: reason code.
        size_bytes: size of the file.
        memory: settings of the limits.
    """
    if code is None:
        return None
    if code == str(Exclusion.TOO_LARGE.value):
        limit = f"longllama.memory.maxFileBytes ({memory.max_file_bytes:,})"
        return f"its {size_bytes:,} bytes are more than {limit}"
    if code == BUDGET:
        in_bytes = f" or longllama.memory.maxBytes ({memory.max_bytes:,})"
        limits = f"longllama.memory.maxTokens ({memory.max_tokens:,})"
        return f"the memory is full: see {limits}{in_bytes if memory.max_bytes else ''}"
    return _LEFT_OUT.get(code) or _exclusion(code)


def _exclusion(code: str) -> str:
    try:
        return Exclusion(code).text
    except ValueError:
        return code.replace("_", " ")

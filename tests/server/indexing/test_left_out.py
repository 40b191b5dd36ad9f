"""Why files are left out, in words that say which setting decides."""

import pytest

from longllama_code.source_files.source_text import Exclusion
from lsp_server.indexing.left_out import why_left_out
from lsp_server.indexing.reindex_policy import BUDGET, CRASHES_ENGINE, FAILED
from lsp_server.settings.declarations import Memory


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("too_large", "its 2,000 bytes are more than longllama.memory.maxFileBytes (1,000)"),
        (BUDGET, "the memory is full: see longllama.memory.maxTokens (5,000)"),
        ("notebook", "it is a notebook, whose cells are read only while you edit them"),
        ("of_a_later_version", "of a later version"),
        (None, None),
    ],
)
def test_reasons(code, said):
    assert why_left_out(code, 2_000, Memory(max_file_bytes=1_000, max_tokens=5_000)) == said


def test_both_limits_of_memory_are_named_where_both_hold():
    said = why_left_out(BUDGET, 1, Memory(max_bytes=1_000_000))
    assert said.endswith("or longllama.memory.maxBytes (1,000,000)")


@pytest.mark.parametrize("code", [*Exclusion, FAILED, CRASHES_ENGINE])
def test_every_reason_is_said_in_words(code):
    assert " " in why_left_out(
        str(code.value if isinstance(code, Exclusion) else code), 1, Memory()
    )

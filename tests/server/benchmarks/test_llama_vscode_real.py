"""llama.vscode's requests with the real llama.cpp and a real model, where a machine has them.

``LONGLLAMA_LLAMA_SERVER`` is the path of llama-server, ``LONGLLAMA_LLAMA_GGUF`` that of a GGUF file
of a model with tokens for infilling, such as Qwen2.5-Coder.
"""

import os
from pathlib import Path

import pytest

from lsp_server.benchmarks.systems.llama_server import llama_server
from lsp_server.benchmarks.systems.llama_vscode import llama_vscode
from lsp_server.benchmarks.systems.llama_vscode_prompt import Settings

PROGRAM, MODEL = (
    os.environ.get(name) for name in ("LONGLLAMA_LLAMA_SERVER", "LONGLLAMA_LLAMA_GGUF")
)
SHAPES = "class Square:\n    side = 2.0\n\n    def area(self):\n        return self.side**2\n"
TEXT = "from shapes import Square\n\nsquare = Square()\ntotal = square.\nprint(total)\n"
AT = TEXT.index("\nprint")


@pytest.mark.skipif(not (PROGRAM and MODEL), reason="needs llama.cpp and a model")
async def test_llama_cpp_answers_from_the_ring(tmp_path: Path):
    assert PROGRAM
    assert MODEL
    (tmp_path / "shapes.py").write_text(SHAPES)
    async with (
        llama_server(PROGRAM, Path(MODEL)) as server,
        llama_vscode(server, tmp_path, 1, Settings(n_predict=8, asks_ahead=False)) as editor,
    ):
        loaded = await editor.open("main.py", TEXT)
        answer = await editor.complete(AT)
        await editor.change(AT, AT, "a")
        later = await editor.complete(AT + 1)
    assert loaded.files == 1
    assert 0 < answer.read_tokens < answer.prompt_tokens
    assert answer.generated_tokens > 0
    assert answer.text.startswith("area")
    assert answer.context[0].startswith("class Square")
    assert (later.text, later.is_known) == (answer.text[1:], True)

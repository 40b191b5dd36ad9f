"""llama.vscode's requests: as its source builds them, and the benchmarks' model of the extension.

``tests/data/llama_vscode.json`` has one exchange as version 0.0.63 makes it, by
``createRequestPayload`` of ``src/llama-server.ts`` with the defaults of its ``package.json``.
"""

import json
from pathlib import Path
from typing import Any, cast

import httpx2

from lsp_server.benchmarks.systems.llama_server import LlamaServer
from lsp_server.benchmarks.systems.llama_vscode import llama_vscode
from lsp_server.benchmarks.systems.llama_vscode_prompt import Settings
from tests.deadline import DEADLINE_S
from tests.e2e.http_server import serving
from tests.paths import ROOT

EXCHANGE = json.loads((ROOT / "tests" / "data" / "llama_vscode.json").read_text("utf-8"))
SHAPES = "class Square:\n    side = 2.0\n\n    def area(self):\n        return self.side**2\n"
TEXT = "from shapes import Square\n\nsquare = Square()\ntotal = square.\nprint(total)\n"
AT = TEXT.index("\nprint")


def write_files(root: Path) -> None:
    root.mkdir()
    (root / "shapes.py").write_text(SHAPES)
    (root / "main.py").write_text(TEXT)


def test_the_requests_of_the_extension_have_their_answers(tmp_path: Path) -> None:
    write_files(tmp_path / "ws")
    answers = [{"text": "return self.side * 4", "before": r"perimeter\(self\):\n        "}]
    with serving(tmp_path / "ws", tmp_path, answers) as server:
        server.until_ready()
        for request in EXCHANGE["updates"]:
            response = server.post("/infill", request)
            assert (response.status_code, response.json()["content"]) == (200, "")
        found: Any = server.post("/infill", EXCHANGE["request"]).json()
        # `getComplFromContent` takes a list, of which `showInfo` shows nothing.
        assert [each["content"] for each in found] == ["        return self.side * 4"]
        one = {**EXCHANGE["request"], "n_cmpl": 1}
        found = server.post("/infill", one).json()
        shown = ("prompt_n", "prompt_ms", "prompt_per_second", "predicted_n", "predicted_ms")
        assert all(isinstance(found["timings"][name], int | float) for name in shown)
        assert isinstance(found["generation_settings"], dict)
        assert found["tokens_cached"] > 0


async def test_the_model_of_the_extension_completes_at_our_door(tmp_path: Path) -> None:
    """Three keys: what is asked, kept, and asked ahead goes as with llama.cpp's server."""
    root = tmp_path / "ws"
    write_files(root)
    answers = [{"text": "area()", "before": r"square\."}, {"text": "nothing_else()"}]
    with serving(root, tmp_path, answers) as server:
        server.until_ready()
        async with httpx2.AsyncClient(
            base_url=server.url, timeout=DEADLINE_S, trust_env=False
        ) as client:
            gguf = Path("script")
            theirs = LlamaServer(client, cast("Any", None), tmp_path / "log", "ours", gguf)
            async with llama_vscode(theirs, root, 1, Settings()) as editor:
                loaded = await editor.open("main.py", TEXT)
                answer = await editor.complete(AT, automatic=True)
                await editor.change(AT, AT, "a")
                later = await editor.complete(AT + 1, automatic=True)
    assert loaded.files == 1
    assert (answer.text, answer.is_known) == ("area()", False)
    assert answer.prompt_tokens == len(TEXT[:AT])
    assert (later.text, later.is_known) == ("rea()", True)

"""llama.vscode's behaviour, with a stand-in for llama.cpp's server."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from lsp_server.benchmarks.systems import llama_vscode as module
from lsp_server.benchmarks.systems.llama_server import LlamaServer, llama_server
from lsp_server.benchmarks.systems.llama_vscode import DEFAULTS, LlamaVscode, llama_vscode
from lsp_server.benchmarks.systems.llama_vscode_prompt import Settings
from lsp_server.benchmarks.systems.ring import MAX_CHUNKS
from lsp_server.benchmarks.systems.system import System
from lsp_server.benchmarks.systems.visits import MAX_VISITS, visited_files
from tests.deadline import DEADLINE_S
from tests.server.benchmarks.llama_server_stand_in import (
    REFUSE,
    StandIn,
    StandInAnswer,
    stand_in,
)

ALONE = Settings(asks_ahead=False)
TEXT = "import a\n\nx = \ny = 2\n"
AT = TEXT.index("\ny")


def numbered(name: str, n: int = 100) -> str:
    return "".join(f"{name} = {at}\n" for at in range(n))


@pytest.fixture
def peer(tmp_path: Path) -> StandIn:
    folder = tmp_path / "peer"
    folder.mkdir()
    return stand_in(folder)


@pytest_asyncio.fixture
async def server(peer: StandIn) -> AsyncIterator[LlamaServer]:
    async with llama_server(peer.program, peer.model) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace of three Python files, and of what nobody would visit."""
    folder = tmp_path / "shapes"
    (folder / "pkg" / "deep").mkdir(parents=True)
    (folder / "far").mkdir()
    files = {"pkg/a.py": "near", "pkg/deep/b.py": "below", "far/c.py": "far", "pkg/a.js": "js"}
    for file, name in files.items():
        (folder / file).write_text(numbered(name))
    (folder / "pkg" / "data.py").write_bytes(b"\0binary")
    outside = tmp_path / "outside.py"
    outside.write_text(numbered("outside"))
    (folder / "pkg" / "link.py").symlink_to(outside)
    return folder


async def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        await asyncio.sleep(0.01)


def open_system(server: LlamaServer, folder: Path, settings: Settings = DEFAULTS) -> LlamaVscode:
    return LlamaVscode(server, folder, 3, settings)


async def test_the_nearest_files_were_visited_and_the_document_entered(
    server: LlamaServer, peer: StandIn, folder: Path
):
    async with llama_vscode(server, folder, 3) as editor:
        system: System = editor
        loaded = await system.open("pkg/main.py", TEXT)
    (update,) = peer.requests
    files = [Path(chunk["filename"]) for chunk in update["input_extra"]]
    visits = [folder / name for name in ("far/c.py", "pkg/deep/b.py", "pkg/a.py")]
    assert files == [*(path for path in visits for _ in range(2)), folder / "pkg/main.py"]
    tops, left = update["input_extra"][::2], update["input_extra"][1::2]
    firsts = [top["text"].split("\n")[0] for top in tops]
    assert firsts == ["far = 0", "below = 0", "near = 0", "import a"]
    for chunk in left:
        assert chunk["text"].strip() in Path(chunk["filename"]).read_text()
    assert (update["n_predict"], update["cache_prompt"]) == (0, True)
    assert loaded.files == 6
    assert loaded.tokens == sum(len(chunk["text"].split()) for chunk in update["input_extra"])
    assert loaded.engine == "model.gguf (llama.cpp 7 (stand-in))"


async def test_a_session_depends_on_its_seed_and_document_alone(
    server: LlamaServer, peer: StandIn, folder: Path
):
    for seed, files in (
        (1, ["pkg/main.py"]),
        (1, ["far/d.py", "pkg/main.py"]),
        (2, ["pkg/main.py"]),
    ):
        async with llama_vscode(server, folder, seed) as editor:
            for file in files:
                await editor.open(file, TEXT)
    texts = [[chunk["text"] for chunk in request["input_extra"]] for request in peer.requests]
    first, _, again, other = texts
    assert first == again
    assert first != other


async def test_a_large_repository_fills_the_ring(
    server: LlamaServer, peer: StandIn, tmp_path: Path
):
    folder = tmp_path / "large"
    folder.mkdir()
    for n in range(12):
        (folder / f"m{n:02}.py").write_text(numbered(f"m{n}"))
    assert [path.stem for path, _ in visited_files(folder, "z.py")] == [
        f"m{n:02}" for n in reversed(range(MAX_VISITS))
    ]
    async with llama_vscode(server, folder, 3) as editor:
        await editor.open("z.py", TEXT)
    assert len(peer.requests[0]["input_extra"]) == MAX_CHUNKS


async def test_an_empty_workspace_has_an_empty_ring(
    server: LlamaServer, peer: StandIn, tmp_path: Path
):
    folder = tmp_path / "empty"
    folder.mkdir()
    async with llama_vscode(server, folder, 3) as editor:
        loaded = await editor.open("a.py", "x\n")
        answer = await editor.complete(1)
    assert (loaded.files, loaded.tokens) == (0, 0)
    assert (answer.text, answer.reason) == ("", "no_text")
    assert [request["input_extra"] for request in peer.requests] == [[]]


async def test_an_answer_has_its_counts_and_what_the_prompt_showed(
    server: LlamaServer, peer: StandIn, folder: Path
):
    peer.answer_prompts({"x = ": "near + 1"})
    async with llama_vscode(server, folder, 3, ALONE) as editor:
        await editor.open("pkg/main.py", TEXT)
        answer = await editor.complete(AT)
    (request,) = peer.asked
    assert request["input_prefix"] == "import a\n\n"
    assert request["input_suffix"] == "\ny = 2\n\n"
    assert (answer.text, answer.stop_reason, answer.is_known) == ("near + 1", "eos", False)
    assert answer.generated_tokens == 3
    assert answer.read_tokens == answer.prompt_tokens - 1 > 100
    assert answer.seconds > 0
    shown = [chunk["text"] for chunk in request["input_extra"]]
    assert list(answer.context) == shown[:-1]  # the last is of the document itself


async def test_indentation_is_left_to_the_model_and_shown_once(
    server: LlamaServer, peer: StandIn, folder: Path
):
    peer.answer_prompts({"": "    return 1"})
    async with llama_vscode(server, folder, 3, ALONE) as editor:
        await editor.open("pkg/main.py", "def f():\n    \n")
        answer = await editor.complete(13)
    assert answer.text == "return 1"
    assert peer.asked[0]["n_indent"] == 4


async def test_what_repeats_the_document_is_not_shown(
    server: LlamaServer, peer: StandIn, folder: Path
):
    peer.answer_prompts({"x = ": "\ny = 2"})
    async with llama_vscode(server, folder, 3) as editor:
        await editor.open("pkg/main.py", TEXT)
        answer = await editor.complete(AT)
    assert (answer.text, answer.reason) == ("", "repeats_document")
    assert answer.generated_tokens == 3


async def test_typing_the_suggestion_needs_no_request(
    server: LlamaServer, peer: StandIn, folder: Path
):
    peer.answer_prompts({"x = ": "near + 1"})
    async with llama_vscode(server, folder, 3, ALONE) as editor:
        await editor.open("pkg/main.py", TEXT)
        await editor.complete(AT)
        await editor.change(AT, AT, "ne")
        answer = await editor.complete(AT + 2, automatic=True)
        assert (answer.text, answer.is_known, answer.prompt_tokens) == ("ar + 1", True, 0)
        await editor.change(AT, AT + 2, "x")
        assert not (await editor.complete(AT + 1, automatic=True)).is_known
    assert [request["prompt"] for request in peer.asked] == ["x = ", "x = x"]


async def test_what_follows_a_suggestion_is_asked_for_while_it_is_shown(
    server: LlamaServer, peer: StandIn, folder: Path
):
    peer.answer_prompts({"x = ": "f(\n    1\n)", ")": "\nz = 3"})
    async with llama_vscode(server, folder, 3) as editor:
        await editor.open("pkg/main.py", TEXT)
        suggestion = await editor.complete(AT)
        await until(lambda: len(editor._suggestions) == 3)
        await editor.change(AT, AT, suggestion.text)
        whole = await editor.complete(AT + len(suggestion.text))
        await editor.change(AT, AT + len(suggestion.text), "f(\n")
        line = await editor.complete(AT + 3)
    assert (whole.text, whole.is_known) == ("\nz = 3", True)
    assert (line.text, line.is_known) == ("    1\n)", True)


async def test_typing_before_much_text_asks_nothing(
    server: LlamaServer, peer: StandIn, folder: Path
):
    peer.answer_prompts({"f(": "1"})
    async with llama_vscode(server, folder, 3, ALONE) as editor:
        await editor.open("pkg/main.py", "f(other, x)\n\n")
        assert (await editor.complete(2, automatic=True)).reason == "long_line_suffix"
        assert not peer.asked
        assert (await editor.complete(2)).text == "1"
        assert (await editor.complete(3, automatic=True)).reason == "no_text"


async def test_a_request_that_runs_is_not_aborted_and_others_wait_for_it(
    server: LlamaServer, peer: StandIn, folder: Path
):
    peer.answer_prompts({"x = ": StandInAnswer("near + 1", after_file="go")})
    async with llama_vscode(server, folder, 3, ALONE) as editor:
        await editor.open("pkg/main.py", TEXT)
        running = asyncio.create_task(editor.complete(AT))
        await until(lambda: len(peer.asked) == 1)
        await cancel(running)
        await editor.change(AT, AT, "n")
        waiting = asyncio.create_task(editor.complete(AT + 1))
        await asyncio.sleep(0)
        await cancel(waiting)
        await editor.change(AT + 1, AT + 1, "e")
        last = asyncio.create_task(editor.complete(AT + 2))
        await asyncio.sleep(0)
        assert not last.done()
        (peer.folder / "go").touch()
        answer = await last
    assert (answer.text, answer.is_known) == ("ar + 1", True)
    assert [request["prompt"] for request in peer.asked] == ["x = "]


async def cancel(task: "asyncio.Task[object]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_closing_ends_what_runs(server: LlamaServer, peer: StandIn, folder: Path):
    peer.answer_prompts({"x = ": StandInAnswer("near", after_file="never")})
    async with llama_vscode(server, folder, 3) as editor:
        await editor.open("pkg/main.py", TEXT)
        running = asyncio.create_task(editor.complete(AT))
        await until(lambda: len(peer.asked) == 1)
        await cancel(running)
        await editor.close()
        assert not editor._tasks


async def test_a_refused_request_is_an_error(server: LlamaServer, folder: Path):
    async with llama_vscode(server, folder, 3) as editor:
        await editor.open("pkg/main.py", REFUSE)
        with pytest.raises(RuntimeError, match="refused"):
            await editor.complete(len(REFUSE))


async def test_a_saved_file_is_shown_at_once(server: LlamaServer, peer: StandIn, folder: Path):
    async with llama_vscode(server, folder, 3) as editor:
        await editor.open("pkg/main.py", TEXT)
        await editor.save_other("pkg/new/d.py", numbered("new", 5))
        answer = await editor.complete(AT)
    assert (folder / "pkg/new/d.py").read_text() == numbered("new", 5)
    update = peer.requests[1]
    assert update["n_predict"] == 0
    assert update["cache_prompt"]
    assert update["input_extra"][-1]["text"] == numbered("new", 5) + "\n"
    assert answer.context[-1] == numbered("new", 5) + "\n"


async def test_nothing_is_saved_outside_of_the_workspace(
    server: LlamaServer, folder: Path, tmp_path: Path
):
    (folder / "out").symlink_to(tmp_path)
    async with llama_vscode(server, folder, 3) as editor:
        await editor.open("pkg/main.py", TEXT)
        with pytest.raises(ValueError, match=r"'out/e\.py' is a path or a link that leads out"):
            await editor.save_other("out/e.py", "e = 1\n")
    assert not (tmp_path / "e.py").exists()


async def test_chunks_of_a_long_document_are_shown_later(
    server: LlamaServer, peer: StandIn, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "UPDATE_S", 0.01)
    monkeypatch.setattr(module, "UPDATE_REST_S", 0.0)
    text = numbered("long", 1000)
    at = text.index("long = 500\n")
    peer.answer_prompts({"": "new = 1"})
    async with llama_vscode(server, folder, 3, ALONE) as editor:
        await editor.open("pkg/main.py", text)
        await editor.complete(at)
        await until(lambda: len(peer.requests) == 4)
    above, below = (
        [int(line.split()[-1]) for line in chunk["text"].splitlines()]
        for chunk in peer.requests[-1]["input_extra"][-2:]
    )
    assert 0 <= above[0] <= above[-1] <= 500 - 256
    assert 500 + 64 <= below[0] <= below[-1] <= 500 + 64 + 64
    assert peer.requests[-1]["n_predict"] == 0

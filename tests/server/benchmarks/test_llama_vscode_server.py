"""llama-server as a child process, with a stand-in for the program."""

import asyncio
import sys
import time
from pathlib import Path

import psutil
import pytest

from lsp_server.benchmarks.systems.llama_server import llama_server
from lsp_server.benchmarks.systems.system import SystemGoneError
from tests.deadline import DEADLINE_S
from tests.server.benchmarks.llama_server_stand_in import (
    BABBLE,
    BROKEN,
    DIE,
    REFUSE,
    StandIn,
    stand_in,
)

HOLDER = """
import asyncio, sys
from pathlib import Path
from lsp_server.benchmarks.systems.llama_server import llama_server

async def hold():
    async with llama_server(sys.argv[1], Path(sys.argv[2])):
        print("ready", flush=True)
        await asyncio.sleep(3600)

asyncio.run(hold())
"""


@pytest.fixture
def peer(tmp_path: Path) -> StandIn:
    return stand_in(tmp_path)


def body(prompt: str) -> dict[str, object]:
    texts = {"input_prefix": "a b\n", "input_suffix": "\n", "input_extra": []}
    return {**texts, "prompt": prompt, "n_predict": 8}


async def wait_for_end(pid: int) -> None:
    ends = time.monotonic() + DEADLINE_S
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < ends, "the server outlived the benchmark"
        await asyncio.sleep(0.05)


async def test_the_settings_are_those_of_the_presets_for_code(
    peer: StandIn, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LLAMA_ARG_N_PREDICT", "1")
    async with llama_server(peer.program, peer.model, 2, ["--device", "none"]) as server:
        assert server.version == "7 (stand-in)"
        assert server.model == "model.gguf"
        arguments = " ".join(peer.start["arguments"])
    assert "--batch-size 1024 --ubatch-size 1024 --cache-reuse 256" in arguments
    assert arguments.endswith("--threads 2 --device none")
    assert peer.start["environment"] == []


async def test_a_response_has_its_text_and_counts(peer: StandIn):
    peer.answer(x="y = 1")
    async with llama_server(peer.program, peer.model) as server:
        infill = await server.infill(body("x"))
    assert (infill.text, infill.stop_reason) == ("y = 1", "eos")
    assert (infill.prompt_tokens, infill.read_tokens, infill.generated_tokens) == (3, 2, 3)


@pytest.mark.parametrize("prompt", [REFUSE, BABBLE])
async def test_a_refusal_does_not_end_the_server(peer: StandIn, prompt: str):
    async with llama_server(peer.program, peer.model) as server:
        with pytest.raises(RuntimeError) as caught:
            await server.infill(body(prompt))
        assert not isinstance(caught.value, SystemGoneError)
        assert (await server.infill(body("x"))).text == ""


async def test_an_end_in_the_middle_of_a_request_is_reported_with_the_log(peer: StandIn):
    async with llama_server(peer.program, peer.model) as server:
        with pytest.raises(SystemGoneError, match="the stand-in dies"):
            await server.infill(body(DIE))
        with pytest.raises(SystemGoneError):
            await server.infill(body("x"))


async def test_a_model_that_cannot_be_loaded_is_reported_with_the_log(peer: StandIn):
    peer.model.write_text(BROKEN)
    with pytest.raises(RuntimeError, match=r"model\.gguf'[^!]*cannot load this$"):
        async with llama_server(peer.program, peer.model):
            pass


async def test_what_is_missing_is_named_with_a_remedy(peer: StandIn):
    with pytest.raises(ValueError, match="'/no/llama-server' is no program; install"):
        async with llama_server("/no/llama-server", peer.model):
            pass
    with pytest.raises(ValueError, match=r"other\.gguf' is no file"):
        async with llama_server(peer.program, peer.folder / "other.gguf"):
            pass


async def test_the_server_ends_with_the_benchmark(peer: StandIn):
    async with llama_server(peer.program, peer.model):
        pid = peer.start["pid"]
        assert psutil.pid_exists(pid)
    await wait_for_end(pid)


async def test_the_server_ends_with_a_cancelled_benchmark(peer: StandIn):
    ready = asyncio.Event()

    async def hold() -> None:
        async with llama_server(peer.program, peer.model):
            ready.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await ready.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_for_end(peer.start["pid"])


async def test_the_server_ends_with_a_killed_benchmark(peer: StandIn):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", HOLDER, peer.program, str(peer.model)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    process.kill()
    await process.wait()
    await wait_for_end(peer.start["pid"])

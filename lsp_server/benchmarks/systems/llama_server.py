"""llama.cpp's server: its process, and its requests for infilling.

Facts are from llama.cpp: the settings are those of its own presets for code completion, such as
``--fim-qwen-1.5b-default`` (``common/arg.cpp``), and the interface is ``POST /infill``
(``tools/server/README.md``).
"""

import asyncio
import json
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil

from lsp_server.benchmarks.systems.system import SystemGoneError
from lsp_server.engine.python_command import python_command

Json = dict[str, Any]

HOST = "127.0.0.1"
PRESET = ("--batch-size", "1024", "--ubatch-size", "1024", "--cache-reuse", "256")
CONTEXT_TOKENS = 32_768
"""Bound of the context. The presets take the model's, which is this for Qwen2.5-Coder and may need
gigabytes for others; llama.vscode's 16 chunks need about 10,000."""
START_TIMEOUT_S = 600.0
ANSWER_TIMEOUT_S = 600.0
CONNECT_TIMEOUT_S = 10.0
EXIT_TIMEOUT_S = 15.0
POLL_S = 0.2
OK = 200
LOG_CHARS = 2000
"""Length of the end of llama-server's log that an error quotes."""
_SETTING_PREFIX = "LLAMA_ARG_"
"""Prefix of environment variables that change llama-server's settings."""
_VERSION = re.compile(r"^version: *(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Infill:
    """Response to ``POST /infill``.

    Its fields are those of ``to_json_non_oaicompat`` in ``tools/server/server-task.cpp``.
    """

    text: str
    stop_reason: str
    """``eos``, ``limit``, ``word`` or ``none``."""
    prompt_tokens: int
    read_tokens: int
    """Number of prompt tokens that were processed; the others were known from before."""
    generated_tokens: int


@asynccontextmanager
async def llama_server(
    executable: str, gguf: Path, threads: int = 0, arguments: Sequence[str] = ()
) -> AsyncGenerator["LlamaServer", None]:
    """Yield a running llama-server with a model. It ends with this process at the latest.

    Args:
        executable: path or name of ``llama-server``.
        gguf: the model's file.
        threads: number of threads; 0 leaves it to llama.cpp, which takes one a core.
        arguments: more arguments, such as ``--device none``.

    Raises:
        ValueError: the program or the file does not exist.
        RuntimeError: the model cannot be run; the message quotes the log.
    """
    program, port = existing_program(executable, gguf), _free_port()
    version = await _version(program)
    command = [program, "--model", str(gguf), "--host", HOST, "--port", str(port), *PRESET]
    command += ["--ctx-size", str(CONTEXT_TOKENS)]
    command += ["--threads", str(threads)] if threads else []
    with tempfile.TemporaryDirectory(prefix="llama-server-") as folder:
        log = Path(folder, "log")
        process = await _start([*command, *arguments], log)
        try:
            async with _client(port) as client:
                server = LlamaServer(client, process, log, version, gguf)
                await server.wait_until_ready()
                yield server
        finally:
            await _end(process)


class LlamaServer:
    """A running llama-server. It serves any number of repositories, one after another.

    Attributes:
        version: llama.cpp's version, as it prints it.
        model: name of the model's file.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        process: asyncio.subprocess.Process,
        log: Path,
        version: str,
        gguf: Path,
    ) -> None:
        self._client, self._process, self._log = client, process, log
        self.version, self.model = version, gguf.name

    async def wait_until_ready(self) -> None:
        """Wait until the model is loaded.

        Raises:
            RuntimeError: the model cannot be run.
        """
        ends = time.monotonic() + START_TIMEOUT_S
        while not await self._is_ready():
            if self._process.returncode is not None:
                raise RuntimeError(f"llama-server cannot run {self.model!r}: {self._log_end()}")
            if time.monotonic() > ends:
                raise RuntimeError(
                    f"llama-server did not load {self.model!r} within {START_TIMEOUT_S:.0f} s."
                )
            await asyncio.sleep(POLL_S)

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of llama-server since it began; None if it cannot be told."""
        with suppress(psutil.Error):
            for process in psutil.Process(self._process.pid).children():
                times = process.cpu_times()
                return times.user + times.system
        return None

    async def infill(self, body: Mapping[str, Any]) -> Infill:
        """Send ``POST /infill``. A cancelled call ends the request there.

        Raises:
            RuntimeError: the request is refused.
            SystemGoneError: the server has ended, or takes too long.
        """
        try:
            response = await self._client.post("/infill", content=json.dumps(body).encode())
        except httpx2.TransportError as error:
            problem = str(error) or type(error).__name__
            raise SystemGoneError(f"llama-server is gone: {problem}; {self._log_end()}") from error
        if response.status_code != OK:
            raise RuntimeError(f"llama-server refused ({response.status_code}): {response.text}")
        try:
            return _infill(response.json())
        except (KeyError, TypeError, ValueError) as error:
            raise RuntimeError(
                f"llama-server's response is not as expected, use a newer one: {error!r}"
            ) from error

    async def _is_ready(self) -> bool:
        try:
            return (await self._client.get("/health")).status_code == OK
        except httpx2.TransportError:
            return False

    def _log_end(self) -> str:
        text = self._log.read_text("utf-8", errors="replace")[-LOG_CHARS:].strip()
        return f"its log ends with\n{text}" if text else "its log is empty"


def _infill(answer: Json) -> Infill:
    return Infill(
        str(answer["content"]),
        str(answer["stop_type"]),
        int(answer["tokens_evaluated"]),
        int(answer["timings"]["prompt_n"]),
        int(answer["tokens_predicted"]),
    )


def existing_program(executable: str, gguf: Path) -> str:
    """Return the path of llama-server.

    Args:
        executable: its path or name.
        gguf: the model's file.

    Raises:
        ValueError: the program or the file does not exist.
    """
    program = shutil.which(executable)
    if program is None:
        raise ValueError(
            f"{executable!r} is no program; install llama.cpp, or build it from "
            "https://github.com/ggml-org/llama.cpp, and give --llama-server PATH."
        )
    if not gguf.is_file():
        raise ValueError(f"{str(gguf)!r} is no file; give --gguf FILE, the model's weights.")
    return program


async def _version(program: str) -> str:
    process = await asyncio.create_subprocess_exec(
        program,
        "--version",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    found = _VERSION.search(output.decode("utf-8", "replace"))
    return found[1].strip() if found else "unknown version"


async def _start(command: Sequence[str], log: Path) -> asyncio.subprocess.Process:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_SETTING_PREFIX)
    }
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *python_command("lsp_server.benchmarks.systems.supervisor"),
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=environment,
        )


async def _end(process: asyncio.subprocess.Process) -> None:
    """End llama-server: the closed pipe suffices, even if waiting for its end is cancelled."""
    assert process.stdin is not None
    process.stdin.close()
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(process.wait(), EXIT_TIMEOUT_S)


def _client(port: int) -> httpx2.AsyncClient:
    """Return a client. It makes a new connection for each request: idle ones end unannounced."""
    return httpx2.AsyncClient(
        base_url=f"http://{HOST}:{port}",
        headers={"Content-Type": "application/json"},
        timeout=httpx2.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        limits=httpx2.Limits(max_keepalive_connections=0),
        trust_env=False,
    )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]

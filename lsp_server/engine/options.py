"""What an engine is started with, to and from its command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from longllama_code.model_sources.default_model import USUAL
from lsp_server.engine.stdio import python_command


@dataclass(frozen=True)
class EngineOptions:
    """How to start an engine, and how to be its client."""

    model: str = USUAL
    cache_dir: Path | None = None
    persist: bool = True
    max_store_bytes: int | None = None
    threads: int = 0
    device: str = "auto"
    dtype: str = "auto"
    gpu_bytes: int | None = None
    """Of memory, that may be kept on a GPU; None for the engine's own default."""
    compile: bool = False
    # From here on, the client's own.
    is_shared: bool = False
    """Whether servers whose engines would be started alike share one."""
    idle_s: float = 0.0
    """How long a shared engine stays after its last client, where this is the last."""
    hang_timeout_s: float = 0.0
    """How long a process that was asked something may show no sign of life; 0: for ever."""
    name: str = ""
    """What the engine's status calls this client."""
    note: str = ""
    """What the user is told beside the engine's state; empty: nothing."""

    def arguments(self) -> list[str]:
        """What engines that are started alike have in common."""
        arguments = ["--model", self.model, "--threads", str(self.threads)]
        arguments += ["--device", self.device, "--dtype", self.dtype]
        if self.max_store_bytes is not None:
            arguments += ["--max-store-bytes", str(self.max_store_bytes)]
        if self.gpu_bytes is not None:
            arguments += ["--gpu-bytes", str(self.gpu_bytes)]
        if self.compile:
            arguments.append("--compile")
        if self.cache_dir is not None:
            arguments += ["--cache-dir", str(self.cache_dir)]
        return arguments if self.persist else [*arguments, "--no-persist"]

    def command(self, socket: Path | None = None) -> list[str]:
        """The command line of an engine on stdin and stdout, or behind a socket."""
        command = [*python_command("lsp_server.engine_process"), *self.arguments()]
        return command if socket is None else [*command, "--socket", str(socket)]


def parse(arguments: Sequence[str] | None = None) -> tuple[EngineOptions, Path | None]:
    """Options from a command line, and the socket to serve, if any."""
    parser = argparse.ArgumentParser(description="The engine of longllama-lsp; not for people.")
    parser.add_argument("--model", required=True)
    parser.add_argument("--cache-dir", type=Path)
    parser.add_argument("--no-persist", action="store_true")
    parser.add_argument("--max-store-bytes", type=int)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--gpu-bytes", type=int)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--socket", type=Path)
    given = parser.parse_args(arguments)
    options = EngineOptions(
        model=given.model,
        cache_dir=given.cache_dir,
        persist=not given.no_persist,
        max_store_bytes=given.max_store_bytes,
        threads=given.threads,
        device=given.device,
        dtype=given.dtype,
        gpu_bytes=given.gpu_bytes,
        compile=given.compile,
    )
    return options, given.socket

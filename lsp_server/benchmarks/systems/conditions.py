"""Conditions of a comparison: which system is asked, and what it sees of the repository."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_server.benchmarks.systems.longllama import Json, our_server
from lsp_server.benchmarks.systems.system import System

if TYPE_CHECKING:
    from lsp_server.benchmarks.workspaces.stored_leaks import StoreSearch

FILE, REPOSITORY, MEMORY = "file", "repository", "memory"
SIMILAR, LLAMA_CPP = "similar", "llama.cpp"
NAMES = (FILE, REPOSITORY, MEMORY, SIMILAR, LLAMA_CPP)
COMPARED = (MEMORY, REPOSITORY, SIMILAR, LLAMA_CPP, FILE)
"""The conditions in the order of their comparison: each minus those after it."""
ABOUT = {
    FILE: "this server, with the open file alone",
    REPOSITORY: "this server, with the repository in memory",
    MEMORY: "this server, with the definitions that a code model sees as memory",
    SIMILAR: "this server, with similar chunks of the repository in the prompt (BM25)",
    LLAMA_CPP: "llama.cpp with llama.vscode's prompt, and the same weights",
}


@dataclass(frozen=True)
class Condition:
    """One side of a comparison."""

    name: str
    open: Callable[[Path], AbstractAsyncContextManager[System]]
    """Opens the system on a workspace."""
    shows_repository: bool = True
    """Whether the workspace is the whole repository; otherwise it holds the open file alone."""
    store: "StoreSearch | None" = None
    """What the system stores, to search it for answers; None if it stores nothing."""


@dataclass(frozen=True)
class SystemOptions:
    """Settings and programs with which systems are started."""

    settings: Json
    """Settings of this server, ``memory.cacheDir`` among them."""
    llama_server: str = "llama-server"
    """llama.cpp's server: a path, or the name of a command."""
    gguf: Path | None = None
    """Weights for llama.cpp."""
    threads: int = 0
    """Threads of llama.cpp; 0: one a core."""
    asks_ahead: bool = True
    """Whether llama.vscode asks for what would follow its suggestions, as it does by itself."""
    seed: int = 1


@asynccontextmanager
async def open_conditions(
    names: Sequence[str], options: SystemOptions, empty: Path
) -> AsyncGenerator[list[Condition], None]:
    """Yield conditions, and keep what they share: this server's engine, llama.cpp's server.

    Args:
        names: names of conditions.
        options: how systems are started.
        empty: an empty folder, for a server that keeps the shared engine from ending.

    Raises:
        RuntimeError: a model cannot be run.
        ValueError: llama.cpp or its weights are missing.
    """
    async with AsyncExitStack() as stack:
        if set(names) - {LLAMA_CPP}:
            await stack.enter_async_context(our_server(empty, options.settings))
        found: list[Condition] = []
        store = _store(options.settings)
        for name in names:
            if name == LLAMA_CPP:
                found.append(await _llama_cpp(options, stack))
            else:
                found.append(_ours(name, options.settings, store))
        yield found


def _store(settings: Json) -> "StoreSearch | None":
    # Imported here, since tokenizers take long to import, and the command line names conditions.
    from lsp_server.benchmarks.workspaces.stored_leaks import StoreSearch

    memory: Json = settings.get("memory", {})
    return StoreSearch(Path(memory["cacheDir"])) if memory.get("persist", True) else None


def _ours(name: str, settings: Json, store: "StoreSearch | None") -> Condition:
    completion: Json = dict(settings.get("completion", {}))
    if name in (MEMORY, SIMILAR):
        completion["repositoryContext"] = name
    is_alone = name == FILE
    settings = {**settings, "completion": completion}
    opened = partial(our_server, settings=settings, only_open_file=is_alone)
    return Condition(name, opened, not is_alone, store)


async def _llama_cpp(options: SystemOptions, stack: AsyncExitStack) -> Condition:
    # Imported here, since an HTTP client would delay the start of the server, which names these.
    from lsp_server.benchmarks.systems.llama_server import llama_server
    from lsp_server.benchmarks.systems.llama_vscode import llama_vscode
    from lsp_server.benchmarks.systems.llama_vscode_prompt import Settings

    if options.gguf is None:
        raise ValueError("llama.cpp needs the model's weights; give --gguf FILE.")
    server = await stack.enter_async_context(
        llama_server(options.llama_server, options.gguf, options.threads)
    )
    seed, settings = options.seed, Settings(asks_ahead=options.asks_ahead)
    return Condition(LLAMA_CPP, lambda folder: llama_vscode(server, folder, seed, settings))

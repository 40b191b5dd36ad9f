"""Typing, storms of files and deaths of the engine, for as long as you like.

A repository of two branches that differ in 2,000 files is checked out again and again, the engine
is killed every minute, and somebody types all the while, asks for suggestions and takes requests
back. Every request must have one answer. In the end the memory must be that of a server that begins
anew on the same files, and the server must not have grown since it had seen each branch once.

Usage: python tests/bench/soak.py [--minutes 30] [--model tiny]
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.raw_client import RawClient, scripted
from tests.git_commands import git

N_FILES = 2000
CHECKOUT_EVERY_S = 15.0
KILL_EVERY_S = 60.0
KEYSTROKE_EVERY_S = 0.08
CANCELLED = 0.2
"""Share of the requests that are taken back."""


def repository(root: Path) -> None:
    """Two branches, `one` and `two`: some files in one of them alone, the others differ."""
    root.mkdir()
    git(root, "init", "-b", "one")
    (root / "typed.py").write_text("value = 0\n" * 200)
    for branch, only in (("one", "left"), ("two", "right")):
        if branch == "two":
            git(root, "checkout", "-b", branch)
            subprocess.run(["rm", "-r", str(root / "left")], check=True)
        for number in range(N_FILES):
            folder = only if number % 4 == 0 else f"part{number % 20}"
            path = root / folder / f"module{number}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"def {branch}_{number}(x):\n    return x + {number}\n")
        git(root, "add", ".")
        git(root, "commit", "-m", branch)


class Soak:
    """Run the load's tasks at the same time."""

    def __init__(self, client: RawClient, root: Path) -> None:
        self.client, self.root = client, root
        self.random = random.Random(1)
        self.uri = (root / "typed.py").as_uri()
        self.text = (root / "typed.py").read_text()
        self.version = 1
        self.n_checkouts = self.n_kills = self.n_keystrokes = 0
        self.memory_mb: list[float] = []

    async def run(self, seconds: float) -> None:
        """Run all tasks for a time, and wait until nothing is under way."""
        item = {"uri": self.uri, "languageId": "python", "version": 1, "text": self.text}
        self.client.notify("textDocument/didOpen", {"textDocument": item})
        await self.settle()
        for branch in ("two", "one"):  # so that both are known before memory is looked at
            await asyncio.to_thread(git, self.root, "checkout", branch)
            await asyncio.sleep(2)
            await self.settle()
        self.note_memory()
        work = [self.type(), self.check_out(), self.kill(), self.watch()]
        tasks = [asyncio.create_task(one) for one in work]
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when="FIRST_COMPLETED")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
        await asyncio.sleep(3)
        await self.client.all_answered()
        await self.settle()
        self.note_memory()

    async def settle(self) -> None:
        """Wait for memory to be up to date; the engine may have been killed just now."""
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            status = (await self.client.ask("longllama/status"))["result"]
            if status["phase"] == "ready":
                return
            await asyncio.sleep(0.2)
        raise TimeoutError("memory does not come to rest")

    async def type(self) -> None:
        """Characters at the end, lines now and then, and suggestions asked for."""
        while True:
            self.n_keystrokes += 1
            new = "\n" if self.random.random() < 0.1 else self.random.choice("abc = (")
            if len(self.text) > 4000:
                end, new, self.text = self.place(), "", self.text[:2000]
                start = self.place()
            else:
                start = end = self.place()
                self.text += new
            self.version += 1
            document = {"uri": self.uri, "version": self.version}
            change = {"range": {"start": start, "end": end}, "text": new}
            params = {"textDocument": document, "contentChanges": [change]}
            self.client.notify("textDocument/didChange", params)
            asked = {"textDocument": {"uri": self.uri}, "position": self.place()}
            kind = {"context": {"triggerKind": self.random.choice((1, 2, 2))}}
            request = self.client.request("textDocument/inlineCompletion", {**asked, **kind})
            if self.random.random() < CANCELLED:
                await asyncio.sleep(self.random.random() * 0.02)
                self.client.notify("$/cancelRequest", {"id": request.msg_id})  # type: ignore
            await asyncio.sleep(KEYSTROKE_EVERY_S * self.random.random() * 2)

    def place(self) -> dict[str, int]:
        """Return the end of the text."""
        return {
            "line": self.text.count("\n"),
            "character": len(self.text) - self.text.rfind("\n") - 1,
        }

    async def check_out(self) -> None:
        """One branch, then the other."""
        for number in range(10**9):
            await asyncio.sleep(CHECKOUT_EVERY_S)
            branch = ("two", "one")[number % 2]
            await asyncio.to_thread(git, self.root, "checkout", branch)
            self.n_checkouts += 1

    async def kill(self) -> None:
        """End the engine's process without a word."""
        while True:
            await asyncio.sleep(KILL_EVERY_S)
            status = (await self.client.ask("longllama/status"))["result"]
            if status["engine_pid"] is not None:
                os.kill(status["engine_pid"], signal.SIGKILL)
                self.n_kills += 1

    async def watch(self) -> None:
        """Look at the server's memory, and that it lives."""
        while self.client.lives:
            self.note_memory()
            await asyncio.sleep(5)
        raise RuntimeError("the server has ended")

    def note_memory(self) -> None:
        """The server's resident memory now."""
        self.memory_mb.append(self.client.server.memory_info().rss / 1e6)


async def files_in_memory(client: RawClient) -> dict[str, tuple[str, int]]:
    """State and tokens of every file but the open one."""
    files = (await client.ask("longllama/memory"))["result"]["files"]
    return {file["path"]: (file["state"], file["tokens"]) for file in files}


async def measure(minutes: float, model: str | None, folder: Path) -> dict[str, Any]:
    """Return the soak, then a fresh server beside it."""
    root = folder / "ws"
    repository(root)
    settings = scripted(folder, answers=[{"text": "suggested", "delay_ms": 5}])
    if model is not None:
        settings["model"] = {"path": model, "threads": 1}
    settings["memory"]["cacheDir"] = str(folder / "cache")
    client = RawClient(root, settings)
    await client.start(folder / "log")
    soak = Soak(client, root)
    try:
        await soak.run(60 * minutes)
    except Exception:
        print((folder / "log").read_text("utf-8", "replace")[-3000:])
        raise
    client.notify("textDocument/didClose", {"textDocument": {"uri": soak.uri}})
    await asyncio.sleep(1)
    await soak.settle()
    held = await files_in_memory(client)
    status = (await client.ask("longllama/status"))["result"]
    code = await client.end()
    fresh_client = RawClient(root, settings)
    await fresh_client.start(folder / "fresh.log")
    await fresh_client.ask("longllama/waitUntilIndexed")
    fresh = await files_in_memory(fresh_client)
    fresh_status = (await fresh_client.ask("longllama/status"))["result"]
    await fresh_client.end()
    first, last = soak.memory_mb[0], soak.memory_mb[-1]
    counted = ("n_files", "n_tokens")
    return {
        "minutes": minutes,
        "keystrokes": soak.n_keystrokes,
        "checkouts": soak.n_checkouts,
        "kills": soak.n_kills,
        "engine_restarts": status["engine_restarts"],
        "requests": len(client.n_answers),
        "not_answered_once": sum(n != 1 for n in client.n_answers.values()),
        "server_mb": [first, max(soak.memory_mb), last],
        "grew_percent": 100 * (last / first - 1),
        "files_that_differ": sum(held.get(p) != fresh.get(p) for p in held.keys() | fresh.keys()),
        "engine_equal": all(status["engine"][n] == fresh_status["engine"][n] for n in counted),
        "messages": client.messages,
        "exit_code": code,
    }


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--model", help="a model instead of a script of answers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(measure(options.minutes, options.model, Path(folder)))
    for name, value in result.items():
        print(f"{name:20} {value}")
    print(json.dumps({"soak": result, "model": options.model}))


if __name__ == "__main__":
    main()

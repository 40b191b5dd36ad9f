"""A hundred thousand inputs of each kind: messages, headers, URIs, capabilities, handshakes.

Messages of any kind go to a real server: it must live, answer, keep the text.

Random bytes, random JSON, random JSON-RPC with methods and fields of LSP, positions anywhere, and
edits of documents whose text a reference model follows (`tests/server/test_fuzz.py`). The engine
answers with the text before the cursor, so that the server's text is seen, and compared. Every
request must have one answer. Messages have headers in any of the forms that clients use, and URIs
of any kind. Headers, URIs, capabilities and handshakes are tried in this process as well; what must
hold for them is in `tests/server/fuzzing.py`.

Usage: python tests/bench/fuzz.py [--messages 100000] [--inputs 100000] [--seed 1]
"""

import argparse
import asyncio
import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.raw_client import RawClient, scripted
from tests.server import fuzzing
from tests.server.test_fuzz import COMMANDS, METHODS, model_offset

ECHO = {"before": r"\A((?s:.*))", "text": r"⟨\1⟩"}
ENCODING = "utf-16"
CHARS = [*"ab \n\r\t'\"#", "\r\n", "é", "€", "😀", "\u2028", "\f", "\x85", "\ud83d"]
BATCH = 200
LARGEST_TEXT = 120
NOT_SENT = {"textDocument/didOpen", "textDocument/didClose", "textDocument/didChange", "initialize"}
"""Methods that random messages leave out: they change documents unnoticed, or restart."""
NOT_RUN = {"toggle", "toggleLanguage"}
"""Commands after which there are no answers to compare."""


class Fuzz:
    """Sends, and knows what must be the case."""

    def __init__(self, client: RawClient, seed: int) -> None:
        self.client, self.random = client, random.Random(seed)
        self.client.header = partial(fuzzing.header, self.random)
        self.texts = {f"untitled:{number}": "" for number in range(4)}
        self.versions = dict.fromkeys(self.texts, 0)
        self.n_compared = self.n_edits = 0
        self.kinds: Counter[str] = Counter()

    async def run(self, n_messages: int) -> None:
        """Send so many messages, and wait for every answer."""
        for uri in self.texts:
            self.open(uri, "")
        while self.client.n_sent < n_messages:
            for _ in range(BATCH):
                kind = self.random.choice(
                    (self.edit, self.edit, self.speak, self.speak, self.noise)
                )
                self.kinds[kind.__name__] += 1
                kind()
            await self.client.all_answered()
            await self.compare()
            if not self.client.lives:
                raise RuntimeError("the server has ended")

    def open(self, uri: str, text: str) -> None:
        """Open a document, or open it anew."""
        self.texts[uri], self.versions[uri] = text, self.versions[uri] + 1
        item = {"uri": uri, "languageId": "python", "version": self.versions[uri], "text": text}
        self.client.notify("textDocument/didOpen", {"textDocument": item})

    def edit(self) -> None:
        """Change a document, as the model does."""
        uri = self.random.choice(list(self.texts))
        if len(self.texts[uri]) > LARGEST_TEXT:
            self.open(uri, self.text(9))
            return
        changes: list[dict[str, Any]] = []
        for _ in range(self.random.randint(1, 3)):
            one, other, new = self.place(), self.place(), self.text(8)
            text = self.texts[uri]
            first, last = sorted(model_offset(text, place, ENCODING) for place in (one, other))
            self.texts[uri] = text[:first] + new + text[last:]
            ends = ({"line": line, "character": unit} for line, unit in (one, other))
            changes.append({"range": dict(zip(("start", "end"), ends, strict=True)), "text": new})
        self.versions[uri] += 1
        self.n_edits += len(changes)
        document = {"uri": uri, "version": self.versions[uri]}
        params = {"textDocument": document, "contentChanges": changes}
        self.client.notify("textDocument/didChange", params)

    def speak(self) -> None:
        """A message of JSON-RPC with a method of LSP or none, and whatever fields."""
        method = self.random.choice(METHODS)
        if method in NOT_SENT:
            method = "textDocument/inlineCompletion"
        params = self.fields() if self.random.random() < 0.8 else self.anything(3)
        if self.random.random() < 0.6:
            self.client.request(method, params)
        else:
            self.client.notify(method, params)

    def noise(self) -> None:
        """Bytes in a frame, JSON that is no message, or a header of nothing."""
        kind = self.random.randrange(3)
        if kind == 0:
            body = self.random.randbytes(self.random.randint(0, 60))
        else:
            body = json.dumps(self.anything(3)).encode()
        if kind == 2:
            line = bytes(byte for byte in body if byte not in b"\r\n")
            self.client.send_bytes(b"X-%s: 1\r\n" % line[:30])
        else:
            self.client.send_bytes(fuzzing.header(self.random, len(body)) + body)

    async def compare(self) -> None:
        """Ask for the text of each document."""
        for uri, text in self.texts.items():
            end = {"line": 2**31 - 1, "character": 0}
            params = {"textDocument": {"uri": uri}, "position": end, "context": {"triggerKind": 1}}
            answer = await self.client.ask("textDocument/inlineCompletion", params)
            items = answer["result"]["items"]
            well_formed = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            expected = f"⟨{well_formed}⟩".replace("\r\n", "\n").replace("\r", "\n")
            if not items:
                why = (await self.client.ask("longllama/explain"))["result"]
                raise RuntimeError(f"no text of {uri}: {why}")
            if items[0]["insertText"] != expected:
                raise RuntimeError(f"{uri}: {items[0]['insertText']!r} is not {expected!r}")
            self.n_compared += 1

    def place(self) -> tuple[int, int]:
        """Return a line and a unit in it, mostly within the text."""
        far = self.random.random() < 0.05
        return (
            self.random.randint(0, 2**31 - 1 if far else 6),
            self.random.randint(0, 2**31 - 1 if far else 9),
        )

    def text(self, most: int) -> str:
        """A few characters of the difficult kinds; halves of pairs never come to stand together."""
        text = "".join(self.random.choices(CHARS, k=self.random.randint(0, most)))
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def fields(self) -> dict[str, Any]:
        """Return fields that messages of LSP have, each of the right kind or not."""
        line, unit = self.place()
        position = {"line": line, "character": self.random.choice((unit, -1, None, "1", 2.5))}
        known = {
            "textDocument": {"uri": self.random.choice([*self.texts, "file:///a.py", self.uri()])},
            "position": position,
            "range": {"start": position, "end": position},
            "context": {"triggerKind": self.random.randint(0, 4)},
            "command": f"longllama.{self.random.choice([*{*COMMANDS} - NOT_RUN])}",
            "arguments": [self.anything(1)],
            "settings": self.anything(1),
            "id": self.random.randint(0, 9),
            "token": self.anything(0),
            "uri": self.random.choice((self.anything(0), self.uri())),
            "changes": [{"uri": self.uri(), "type": self.random.randint(0, 4)}],
            "files": [{"uri": self.uri(), "oldUri": self.uri(), "newUri": self.uri()}],
        }
        return {
            key: value if self.random.random() < 0.9 else self.anything(2)
            for key, value in known.items()
            if self.random.random() < 0.7
        }

    def uri(self) -> str:
        """Return a URI of any kind."""
        return fuzzing.uri(self.random)

    def anything(self, depth: int) -> Any:
        """Any value of JSON."""
        kind = self.random.randrange(8 if depth else 6)
        if kind == 6:
            return [self.anything(depth - 1) for _ in range(self.random.randint(0, 3))]
        if kind == 7:
            return {
                self.text(4): self.anything(depth - 1) for _ in range(self.random.randint(0, 3))
            }
        scalars = (None, True, self.random.randint(-(2**33), 2**33), 1e300, self.text(9), "")
        return scalars[kind]


def try_inputs(n_inputs: int, seed: int, root: Path) -> dict[str, int]:
    """Try so many inputs of each kind in this process; raises where something is wrong."""
    checks = {
        "headers": fuzzing.check_headers,
        "uris": fuzzing.check_uri,
        "capabilities": fuzzing.check_decoding,
        "handshakes": partial(fuzzing.check_handshake, root=root),
    }
    logging.disable(logging.CRITICAL)
    for name, check in checks.items():
        print(f"{n_inputs:,} {name} …", file=sys.stderr, flush=True)
        for number in range(n_inputs):
            try:
                check(random.Random(f"{seed} {number}"))
            except Exception as error:
                raise RuntimeError(f"{name}: input {number} of seed {seed}") from error
    return dict.fromkeys(checks, n_inputs)


async def measure(n_messages: int, seed: int, folder: Path) -> dict[str, Any]:
    """Return one conversation; raises where something is wrong."""
    root = folder / "ws"
    root.mkdir()
    (root / "a.py").write_text("x = 1\n")
    client = RawClient(root, scripted(folder, answers=[ECHO]))
    await client.start(folder / "log", encoding=ENCODING)
    await client.ask("longllama/waitUntilIndexed")
    before = client.server.memory_info().rss
    fuzz = Fuzz(client, seed)
    print(f"{n_messages:,} messages …", file=sys.stderr, flush=True)
    start = time.perf_counter()
    try:
        await fuzz.run(n_messages)
    except Exception:
        print((folder / "log").read_text("utf-8", "replace")[-3000:])
        raise
    seconds = time.perf_counter() - start
    grown = client.server.memory_info().rss - before
    twice = [msg_id for msg_id, n in client.n_answers.items() if n != 1 and isinstance(msg_id, int)]
    code = await client.end()
    return {
        "messages": client.n_sent,
        "requests": len(client.n_answers),
        "not_answered_once": len(twice),
        "answers_without_a_request": sum(n for i, n in client.n_answers.items() if i is None),
        "edits": fuzz.n_edits,
        "texts_compared": fuzz.n_compared,
        "exit_code": code,
        "seconds": seconds,
        "memory_grew_mb": grown / 1e6,
    }


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tried = try_inputs(options.inputs, options.seed, Path(folder))
        result = tried | asyncio.run(measure(options.messages, options.seed, Path(folder)))
    for name, value in result.items():
        print(f"{name:26} {value:,.1f}")
    print(json.dumps({"fuzz": result, "seed": options.seed}))


if __name__ == "__main__":
    main()

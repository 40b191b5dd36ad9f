"""The default model through the real server: names of the open file, a body, healing, typing on.

One server is asked everything; what it wrote is looked at in the tests. Texts may differ between
CPUs in their last digits, so the tests ask for what any right answer has.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

from longllama_code.model_sources import catalog
from lsp_server.clients.headless import HeadlessClient, headless
from lsp_server.documents.document import Document, Position

MODEL = "coder-0.5b"
DEADLINE_S = 400
"""For the server's start and all questions, on a machine that does other work."""
FILES = {
    "pilots.py": "MAX_PILOTED_TONNES = 120_000\n\n\ndef pilots_for(tonnes):\n    return 2\n",
    "dues.py": 'DUES = 0.12\n\n\ndef dues(tonnes):\n    """Euros."""\n    return tonnes * DUES\n',
}
LEDGER = """\
class Ledger:
    def __init__(self, currency):
        self.currency = currency

    def post_harbour_dues(self, ship, euros):
        return (ship, euros, self.currency)
"""
SECRET = 'GREENHOUSE_TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ456789"\n'
HIDDEN = {"ignored.py": "def ignored_dues():\n    return 1\n", "keys.py": SECRET}
"""Files that the model must never be shown."""
BILLING = """\
from ledger import Ledger
from ignored import ignored_dues
from keys import GREENHOUSE_TOKEN


def bill(ship, euros):
    ledger = Ledger("EUR")
    return ledger."""
AFTER_BILLING = """


def is_paid(entry):
    return entry is not None
"""
OFFICE = """\
MAX_TONNES_BY_NIGHT = 4_000


def may_enter(tonnes, by_night):
    if not by_night:
        return True
    return tonnes <= """
AFTER_OFFICE = """


def describe(tonnes):
    return f"a ship of {tonnes} tonnes"
"""
CIRCLES = """\
import math


def circumference(radius):
    return 2 * math.pi * radius


def area(radius):"""

pytestmark = pytest.mark.coder


@dataclass(frozen=True)
class Answer:
    """A suggestion, and what the server says of it."""

    text: str
    explained: dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """All that one server was asked."""

    status: dict[str, Any]
    name: Answer
    inside_a_word: Answer
    typed_on: Answer
    body: Answer
    body_on_its_line: Answer
    member: Answer


class Cursor:
    """A document of a client's, with the cursor between two texts."""

    def __init__(self, client: HeadlessClient, file: Path, before: str, after: str) -> None:
        self._client, self._before, self._after, self._version = client, before, after, 1
        self._uri = client.open(file, before + after)

    def type(self, text: str) -> None:
        self._before += text
        self._version += 1
        identifier = types.VersionedTextDocumentIdentifier(self._version, self._uri)
        whole = types.TextDocumentContentChangeWholeDocument(self._before + self._after)
        self._client.text_document_did_change(
            types.DidChangeTextDocumentParams(identifier, [whole])
        )

    async def ask(self) -> Answer:
        document = Document("", "python", 1, self._before)
        position: Position = document.position(len(self._before), "utf-32")
        text = await self._client.complete(self._uri, position)
        explained = await self._client.explain()
        assert explained is not None
        return Answer(text, explained)


async def ask_all(root: Path, cache: Path) -> Asked:
    """Start a server on the folder, and ask it everything."""
    settings = {
        "model": {"path": MODEL},
        "memory": {"cacheDir": str(cache)},
        "completion": {"timeoutMs": 60_000, "candidates": 1},
    }
    async with headless(root, settings) as client:
        await client.wait_until_indexed()
        office = Cursor(client, root / "office.py", OFFICE, AFTER_OFFICE)
        name = await office.ask()
        office.type("MAX_TON")
        inside_a_word = await office.ask()
        office.type("NES_BY")
        typed_on = await office.ask()
        body = await Cursor(client, root / "circles.py", CIRCLES, "\n").ask()
        indented = Cursor(client, root / "more_circles.py", f"{CIRCLES}\n    ", "\n")
        body_on_its_line = await indented.ask()
        billing = Cursor(client, root / "billing.py", BILLING, AFTER_BILLING)
        await client.wait_until_indexed()
        member = await billing.ask()
        status = await client.status()
    return Asked(status, name, inside_a_word, typed_on, body, body_on_its_line, member)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    catalog.pull(MODEL)
    folder = tmp_path_factory.mktemp("coder")
    root = folder / "harbour"
    root.mkdir()
    for name, text in {**FILES, **HIDDEN, "ledger.py": LEDGER}.items():
        (root / name).write_text(text)
    (root / ".longllamaignore").write_text("ignored.py\n")
    return asyncio.run(asyncio.wait_for(ask_all(root, folder / "cache"), DEADLINE_S))


def test_the_status_names_the_model(asked: Asked) -> None:
    assert asked.status["phase"] == "ready"
    assert asked.status["engine"]["model"].startswith(MODEL)
    assert asked.status["files"]["in_memory"] >= len(FILES)


def test_a_name_that_the_open_file_defines_is_written(asked: Asked) -> None:
    assert asked.name.text.startswith("MAX_TONNES_BY_NIGHT")
    assert asked.name.explained["stopReason"] != "max_tokens"


def test_a_word_is_gone_on_with_where_it_ends(asked: Asked) -> None:
    assert asked.inside_a_word.text.startswith("NES_BY_NIGHT")
    assert asked.typed_on.text.startswith("_NIGHT")


def test_a_method_that_another_file_defines_is_written_and_its_definition_named(
    asked: Asked,
) -> None:
    """Its class is known from what was called to make the value."""
    assert asked.member.text.startswith("post_harbour_dues(ship, euros)")
    shown = {each["name"]: each for each in asked.member.explained["definitions"]}
    found = shown["Ledger.post_harbour_dues"]
    assert (found["path"], found["first_line"], found["is_named"]) == ("ledger.py", 5, True)
    assert found["reason"]
    assert found["n_tokens"] > 0


def test_what_is_ignored_or_secret_is_not_shown(asked: Asked) -> None:
    paths = {each["path"] for each in asked.member.explained["definitions"]}
    assert "ledger.py" in paths
    assert not paths & set(HIDDEN)


def test_typing_on_reads_little_anew(asked: Asked) -> None:
    """The text after the cursor stands before the one that grows."""
    timings = asked.typed_on.explained["timings"]
    assert timings["reused_tokens"] >= timings["prompt_tokens"] - 8 > 40


@pytest.mark.parametrize("place", ["body", "body_on_its_line"])
def test_a_body_is_a_block_that_ends_with_its_scope(asked: Asked, place: str) -> None:
    found: Answer = getattr(asked, place)
    assert found.explained["stopReason"] not in ("max_tokens", "deadline")
    assert "radius" in found.text
    assert "return" in found.text
    body = ("" if found.text.startswith("\n") else "    ") + found.text.lstrip("\n")
    assert all(line.startswith("    ") for line in body.splitlines() if line)
    assert not any(word in found.text for word in ("```", "def ", "xample", "print("))

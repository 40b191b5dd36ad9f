"""A person in an editor, who does something with each suggestion and remembers what it was."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from lsprotocol import types

from lsp_server.statistics.database import path_in
from tests.deadline import DEADLINE_S
from tests.e2e.editor import Editor, capabilities, soon

TEXT = "count_all(prices)"
"""What is suggested behind ``total = ``."""
ANSWERS = [{"text": TEXT, "before": "total = "}, {"text": r"unt_all(prices)", "before": "= co"}]


def telling() -> types.ClientCapabilities:
    """What an editor can do that tells which suggestions it shows."""
    can = capabilities()
    can.experimental = {"longllama": {"didShowSuggestion": True}}
    return can


class Person:
    """Writes lines at the end of a document, each with a suggestion; counts what was done."""

    def __init__(self, editor: Editor, uri: str, language: str = "python") -> None:
        self.editor, self.uri = editor, editor.open(uri, "", language)
        self.language = language
        self.did: Counter[str] = Counter()
        self._line = self._column = 0

    async def accept(self) -> None:
        name = await self._show()
        self._insert(TEXT)
        await self._tell_accepted(name)
        self._done("accepted")

    async def accept_a_word(self) -> None:
        name = await self._show()
        self._insert("count_all")
        self.editor.protocol.notify(
            "longllama/didPartiallyAcceptSuggestion", {"id": name, "acceptedLength": 9}
        )
        self._insert("!")
        self._done("partly_accepted")

    async def type_over(self) -> None:
        await self._show()
        for key in "cat":
            self._insert(key)
        self._done("typed_over")

    async def type_out(self) -> None:
        await self._show()
        for key in TEXT:
            self._insert(key)
        self._done("typed_out")

    async def look_away(self) -> None:
        name = await self._show()
        self.editor.protocol.notify("longllama/didDismissSuggestion", {"id": name})
        self._done("left")

    async def never_see_it(self) -> None:
        await self._show(is_seen=False)
        self._next_line()

    async def type_and_accept_the_rest(self) -> None:
        """One suggestion, of which the client is given the rest under another name."""
        await self._show()
        for key in "co":
            self._insert(key)
        name = await self._request()
        self.editor.protocol.notify("longllama/didShowSuggestion", {"id": name})
        self._insert(TEXT[2:])
        await self._tell_accepted(name)
        self._done("accepted")

    async def _show(self, *, is_seen: bool = True) -> str:
        self._insert("total = ")
        name = await self._request()
        if is_seen:
            self.editor.protocol.notify("longllama/didShowSuggestion", {"id": name})
        return name

    async def _request(self) -> str:
        (item,) = await self.editor.items(self.uri, self._line, self._column, automatic=True)
        assert item.command is not None
        assert item.command.arguments is not None
        return item.command.arguments[0]

    async def _tell_accepted(self, name: str) -> None:
        params = types.ExecuteCommandParams("longllama.didAccept", arguments=[name])
        await soon(self.editor.workspace_execute_command_async(params))

    def _done(self, outcome: str) -> None:
        self.did[outcome] += 1
        self._next_line()

    def _insert(self, text: str) -> None:
        at = (self._line, self._column)
        self.editor.edit(self.uri, at, at, text)
        self._column += len(text)

    def _next_line(self) -> None:
        self._insert("\n")
        self._line, self._column = self._line + 1, 0


def kept(cache: Path) -> Counter[str]:
    """The outcomes in the file; none before it is made."""
    if not path_in(cache).exists():
        return Counter()
    with closing(sqlite3.connect(path_in(cache), timeout=DEADLINE_S)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'shown'").fetchall():
            return Counter()
        return Counter(outcome for (outcome,) in database.execute("SELECT outcome FROM shown"))

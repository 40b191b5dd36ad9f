"""Suggestions over HTTP are counted as far as the requests themselves show what became of them."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lsp_server.statistics.database import path_in
from tests.deadline import DEADLINE_S
from tests.e2e.editor import Editor, scripted
from tests.e2e.http_server import HttpServer, address, serving
from tests.e2e.http_shop import AT, REST, SHAPES, window, write_shop
from tests.e2e.test_statistics import stats

ANSWERS = [
    {"text": REST, "before": r"self.width$|return $"},
    {"text": "total", "before": "return self.width \\* self.height\n        "},
    {"text": "other()"},
]
Row = tuple[str, str, str | None, int]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write_shop(tmp_path / "ws")


def rows(cache: Path) -> list[Row]:
    """Client, language, outcome and accepted characters of what was counted, in order."""
    with closing(sqlite3.connect(path_in(cache))) as database:
        return database.execute(
            "SELECT client, language, outcome, n_accepted FROM shown ORDER BY shown_at"
        ).fetchall()


def ask(server: HttpServer, typed: str, **fields: Any) -> str:
    """Ask as llama.vim does, with a window of the file."""
    return server.infill(*window(typed), **fields)["content"]


def test_what_was_accepted_stands_before_the_cursor_of_a_later_request(
    shop: Path, tmp_path: Path
) -> None:
    with serving(shop, tmp_path, ANSWERS) as server:
        server.until_ready()
        assert ask(server, "") == REST
        assert ask(server, f"{REST}\n        ") == "total"
        assert ask(server, f"{REST}\n        x = ") == "other()"
        assert ask(server, f"{REST}\n        x = other()", n_predict=0) == ""
    assert rows(tmp_path / "cache") == [
        ("http", "python", "accepted", len(REST)),
        ("http", "python", "typed_over", 0),
        ("http", "python", None, 0),  # no later request shows it
    ]


def test_what_a_client_asks_in_advance_is_not_counted_as_accepted(
    shop: Path, tmp_path: Path
) -> None:
    with serving(shop, tmp_path, ANSWERS) as server:
        server.until_ready()
        ask(server, "")
        ask(server, REST)  # nobody has accepted it
        ask(server, "sum(")
    assert [row[2] for row in rows(tmp_path / "cache")] == ["typed_over", None]


@pytest.mark.parametrize("fields", [{"file": "shapes.py"}, {}])
def test_completions_are_counted_alike_also_without_the_name_of_a_file(
    shop: Path, tmp_path: Path, fields: dict[str, str]
) -> None:
    before = SHAPES[:AT] if fields else "def volume_of_cube(side):\n    return "
    with serving(shop, tmp_path, ANSWERS) as server:
        server.until_ready()
        for typed in ("", f"{REST}  # "):
            body = {"prompt": before + typed, "suffix": "\n", **fields}
            assert server.post("/v1/completions", body).json()["choices"][0]["text"]
    language = "python" if fields else "other"
    assert rows(tmp_path / "cache")[0] == ("http", language, "accepted", len(REST))


def test_an_empty_answer_and_a_private_file_are_not_counted(shop: Path, tmp_path: Path) -> None:
    with serving(shop, tmp_path, ANSWERS) as server:
        server.until_ready()
        assert server.infill("TOKEN=", file=".env")["content"] == ""
        assert server.infill("x = 1\n", n_predict=0)["content"] == ""
    assert not path_in(tmp_path / "cache").exists()


async def test_the_command_line_and_a_language_client_see_them_apart(
    shop: Path, tmp_path: Path
) -> None:
    import httpx2

    editor = Editor(tmp_path)
    try:
        settings = scripted(tmp_path, answers=ANSWERS)
        await editor.start(shop, settings=settings, arguments=("--stdio", "--http", "0"))
        url = address(Path(str(editor._log.name)))
        await editor.indexed()
        uri = editor.open((shop / "a.py").as_uri(), "x = ")
        assert await editor.items(uri, 0, 4, automatic=True)
        async with httpx2.AsyncClient(base_url=url, timeout=DEADLINE_S, trust_env=False) as client:
            for typed in ("", f"{REST}\n"):
                body = dict(zip(("input_prefix", "input_suffix"), window(typed), strict=True))
                assert (await client.post("/infill", json=body)).status_code == 200
        found = await editor.ask("longllama/statistics")
        groups = {group["name"]: group for group in found["clients"]}
        assert {name: group["shown"] for name, group in groups.items()} == {
            "over LSP": 1,
            "over HTTP (sent)": 2,
        }
        assert groups["over HTTP (sent)"]["accepted"] == 1
        await editor.close()
    finally:
        await editor.kill()
    code, out, _ = stats("--json", "--cache-dir", str(tmp_path / "cache"))
    assert (code, len(json.loads(out)["clients"])) == (0, 2)
    code, out, _ = stats("--cache-dir", str(tmp_path / "cache"))
    assert "over HTTP (sent)" in out.decode()

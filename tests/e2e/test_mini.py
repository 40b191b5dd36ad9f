"""The model `mini` through the real server: what another file defines reaches the answer."""

import asyncio
import shutil
from pathlib import Path

import pytest

from longllama_code.model_sources import catalog
from lsp_server.clients.headless import headless
from lsp_server.documents.document import Position
from tests.paths import DATA

HARBOUR = DATA / "harbour"
TYPED = "from harbour.pilots import MAX_"

pytestmark = pytest.mark.mini


async def suggest(root: Path, cache: Path) -> tuple[str, list[str]]:
    """The suggestion behind ``TYPED`` in a new file, and the files that it drew on."""
    settings = {"model": {"path": "mini"}, "memory": {"cacheDir": str(cache)}}
    async with headless(root, settings) as client:
        await client.wait_until_indexed()
        uri = client.open(root / "harbour" / "office.py", TYPED)
        text = await client.complete(uri, Position(0, len(TYPED)))
        explained = await client.explain()
    assert explained is not None
    return text, [source["path"] for source in explained["sources"]]


async def test_a_name_of_another_file_is_completed_with_memory_alone(tmp_path: Path) -> None:
    catalog.pull("mini")
    known, unknown = tmp_path / "known", tmp_path / "unknown"
    shutil.copytree(HARBOUR, known / "harbour", ignore=shutil.ignore_patterns("__pycache__"))
    (unknown / "harbour").mkdir(parents=True)
    cache = tmp_path / "cache"

    text, sources = await asyncio.wait_for(suggest(known, cache), 120)
    assert text == "PILOTED_TONNES"
    assert "harbour/pilots.py" in sources

    text, sources = await asyncio.wait_for(suggest(unknown, cache), 120)
    assert text
    assert not text.startswith("PILOT")
    assert sources == []

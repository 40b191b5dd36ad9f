"""A package of this repository, indexed; then one function of it edited.

The tokens of `tiny` are bytes, so a part of it is left out that would not fit into the memory.
"""

import asyncio
import shutil

from tests.paths import ROOT

SOURCES = ROOT
EDITED = "lsp_server/indexing/indexer.py"
INDEXING_DEADLINE_S = 180


async def test_editing_one_function_encodes_its_segment_alone(start, root, model_settings):
    ignored = shutil.ignore_patterns("__pycache__", "benchmarks", "testing")
    shutil.copytree(SOURCES / "lsp_server", root / "lsp_server", ignore=ignored)
    editor = await start(settings=model_settings)
    waiting = editor.protocol.send_request_async("longllama/waitUntilIndexed", {})
    await asyncio.wait_for(waiting, INDEXING_DEADLINE_S)
    before = await editor.status()
    assert before["files"]["waiting"] == 0
    assert before["engine"]["n_segments"] > 100

    path = root / EDITED
    text = path.read_text("utf-8")
    first, _, rest = text.partition('        """Start no further file until ``resume``."""\n')
    assert rest
    edited = path.with_name("edited")  # put in its place as a whole: half of it is another edit
    edited.write_text(first + '        """Stop."""\n' + rest, "utf-8")
    edited.replace(path)
    n_tokens = before["files"]["tokens"]
    await editor.until(lambda: editor.statuses[-1]["files"]["tokens"] != n_tokens)
    after = await editor.indexed()

    encoded = after["files"]["segments_encoded"] - before["files"]["segments_encoded"]
    kept = after["files"]["segments_kept"] - before["files"]["segments_kept"]
    assert 1 <= encoded <= 2
    assert kept >= 10
    assert after["engine"]["encoded_segments"] - before["engine"]["encoded_segments"] == encoded
    assert after["engine"]["n_segments"] - before["engine"]["n_segments"] in (-1, 0, 1)

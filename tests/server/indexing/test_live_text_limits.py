"""Limits of files hold for the text in the editor as well."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.source_files.source_text import (
    Limits,
    SourceError,
    read_source,
    refuse_live_text,
)

SMALL = Limits(max_file_bytes=64, max_line_chars=16)


def put(wire, uri, text, version):
    """Replace the whole text of a document."""
    document = {"uri": uri, "version": version}
    wire.notify("textDocument/didChange", textDocument=document, contentChanges=[{"text": text}])


def reason(files):
    return {file["path"]: file["reason"] for file in files}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x = 1\n" * 400_000, "too_large"),
        ("é = 1\n" * 80_000, "too_large"),
        (f"x = '{'a' * 100_000}'\n", "generated"),
        (f"x = 1\r{'a' * 100_000}\ry = 2\r", "generated"),
        ("x = 1\n\0\n", "binary"),
    ],
    ids=["characters", "bytes", "a long line", "a long line between CRs", "binary"],
)
async def test_text_beyond_a_limit_leaves_memory_and_comes_back(wire, root, text, why):
    await wire.begin(root)
    uri = wire.open((root / "lib.py").as_uri(), "x = 1\n")
    await wire.indexed()
    put(wire, uri, text, 2)
    await wire.indexed()
    assert wire.engine.texts == {}
    assert reason((await wire.ask("longllama/memory"))["files"]) == {"lib.py": why}
    put(wire, uri, "y = 2\n", 3)
    await wire.indexed()
    assert wire.engine.texts == {"lib.py": "y = 2\n"}
    put(wire, uri, text, 4)
    await wire.indexed()
    wire.notify("textDocument/didClose", textDocument={"uri": uri})
    await wire.indexed()
    assert wire.engine.texts == {"lib.py": (root / "lib.py").read_text()}


async def test_a_document_is_opened_with_too_much_text(wire, root):
    await wire.begin(root)
    await wire.indexed()
    wire.open((root / "lib.py").as_uri(), "x = 1\n" * 400_000)
    (root / "empty.py").touch()
    wire.open((root / "empty.py").as_uri(), "y" * 6_000)
    await wire.indexed()
    assert wire.engine.texts == {}


async def test_the_limit_is_that_of_the_settings(wire, root):
    await wire.begin(root, options={"memory": {"maxFileBytes": 1000}})
    uri = wire.open((root / "lib.py").as_uri(), "x = 1\n" * 200)
    await wire.indexed()
    assert wire.engine.texts == {}
    put(wire, uri, "x = 1\n" * 100, 2)
    await wire.indexed()
    assert set(wire.engine.texts) == {"lib.py"}


async def test_a_limit_that_is_changed_holds_for_open_text_at_once(wire, root):
    await wire.begin(root)
    wire.open((root / "lib.py").as_uri(), "x = 1\n" * 200)
    await wire.indexed()
    assert set(wire.engine.texts) == {"lib.py"}
    for limit, names in ((1000, set()), (2000, {"lib.py"})):
        settings = {"longllama": {"memory": {"maxFileBytes": limit}}}
        wire.notify("workspace/didChangeConfiguration", settings=settings)
        await wire.until(lambda names=names: set(wire.engine.texts) == names)


@given(st.text(st.sampled_from("ab\n\r\0é😀"), min_size=1, max_size=80))
def test_live_text_is_left_out_as_it_would_be_on_disk(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("limits") / "a.py"
    path.write_bytes(text.encode())
    verdicts = []
    for check in (lambda: read_source(path, SMALL), lambda: refuse_live_text(path, text, SMALL)):
        try:
            check()
            verdicts.append(None)
        except SourceError as error:
            verdicts.append(error.exclusion)
    assert verdicts[0] is verdicts[1]

"""Suggestions, from the request to the text at the cursor. One server for each transport."""

import pytest
import pytest_asyncio
from lsprotocol import types

from tests.e2e.editor import capabilities, editing, scripted, soon, tiny

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIB = "def frobnicate(left, right):\n    return left * 31 + right\n"
TEXT = "from lib import frobnicate\n\nresult = frobnicate("
END = (2, 20)
ECHO = {"before": r"\A((?s:.*))", "text": r"⟨\1⟩"}
"""Suggests the text before the cursor, so that a wrong place or text shows."""
CLOSED = {"before": r"isinstance\(é, Usage\Z", "text": "Error):"}
"""Closes the bracket, as a model does that looks at the text before the cursor."""
ANSWERS = [CLOSED, {**ECHO, "source": "lib.py"}, ECHO]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["stdio", "tcp", "ws"])
async def editor(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "ws").mkdir()
    (folder / "ws" / "lib.py").write_text(LIB)
    options = {"transport": request.param, "settings": scripted(folder, answers=ANSWERS)}
    async with editing(folder, folder / "ws", **options) as editor:
        await editor.indexed()
        yield editor


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def popup_editor(tmp_path_factory):
    """An editor without ghost text, with a server of its own on files of the same texts."""
    folder = tmp_path_factory.mktemp("popup")
    (folder / "ws").mkdir()
    (folder / "ws" / "lib.py").write_text(LIB)
    options = {"can": capabilities(inline=False), "settings": scripted(folder, answers=ANSWERS)}
    async with editing(folder, folder / "ws", **options) as editor:
        await editor.indexed()
        yield editor


async def popup(editor, uri, line, character, kind=types.CompletionTriggerKind.Invoked):
    params = types.CompletionParams(
        types.TextDocumentIdentifier(uri),
        types.Position(line, character),
        context=types.CompletionContext(kind),
    )
    return await soon(editor.text_document_completion_async(params))


async def test_the_item(editor):
    uri = editor.open("untitled:item", TEXT)
    (item,) = await editor.items(uri, *END)
    assert item.insert_text
    at = types.Position(*END)
    assert item.range == types.Range(at, at)
    assert item.command.command == "longllama.didAccept"
    (suggestion_id,) = item.command.arguments
    params = types.ExecuteCommandParams(item.command.command, item.command.arguments)
    assert await soon(editor.workspace_execute_command_async(params)) is None
    assert (await editor.ask("longllama/explain", id=suggestion_id))["reason"] is None


async def test_the_same_text_has_the_same_suggestion(editor, popup_editor):
    uri = editor.open("untitled:same", TEXT)
    first = await editor.suggestion(uri, *END)
    assert first == await editor.suggestion(uri, *END) != ""
    uri = popup_editor.open("untitled:same", TEXT)
    assert await popup_editor.suggestion(uri, *END) == first


async def test_a_file_of_the_workspace_changes_the_suggestion_of_a_model(tmp_path):
    lib = tmp_path / "ws" / "lib.py"
    lib.parent.mkdir()
    lib.write_text(LIB)
    async with editing(tmp_path, lib.parent, settings=tiny(tmp_path)) as editor:
        await editor.indexed()
        uri = editor.open("untitled:same", TEXT)
        with_file = await editor.suggestion(uri, *END)
        explained = await editor.ask("longllama/explain")
        assert {source["path"] for source in explained["sources"]} == {"lib.py"}
        assert with_file == await editor.suggestion(uri, *END) != ""
        lib.unlink()
        await editor.memory_until(lambda files: not files)
        assert await editor.suggestion(uri, *END) not in ("", with_file)


async def test_where_a_suggestion_came_from(editor):
    uri = editor.open("untitled:why", TEXT)
    assert await editor.suggestion(uri, *END)
    explained = await editor.ask("longllama/explain")
    assert {source["path"] for source in explained["sources"]} == {"lib.py"}
    for source in explained["sources"]:
        assert 1 <= source["first_line"] <= source["last_line"] <= 2
        assert 0 < source["mass"] <= 1
    assert explained["timings"]["memory_tokens"] == len(LIB)
    assert await editor.ask("longllama/explain", id="never made") is None


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [("foobar", (0, 3), "inside_word"), ("x = y + something", (0, 4), "inside_line")],
)
async def test_typing_in_the_middle_of_a_line_asks_for_nothing(editor, text, place, reason):
    uri = editor.open("untitled:middle", text)
    assert await editor.items(uri, *place, automatic=True) == []
    assert await editor.last_reason() == reason
    assert await editor.items(uri, *place) != []


async def test_typing_before_what_closes_the_line_asks(editor):
    uri = editor.open("untitled:closers", "print(x[0], )]})  ")
    assert await editor.suggestion(uri, 0, 12, automatic=True)


async def test_an_unknown_document(editor):
    assert await editor.items("file:///never/opened.py", 0, 0) == []


@pytest.mark.parametrize(
    "uri",
    ["untitled:Untitled-1", "file:///elsewhere/a%20b.py", "git:/a.py?HEAD", "vscode-notebook:x#c1"],
)
async def test_documents_that_are_no_files_of_the_workspace(editor, uri):
    editor.open(uri, "x = ")
    assert await editor.suggestion(uri, 0, 4)
    editor.close_document(uri)
    assert await editor.items(uri, 0, 4) == []


@pytest.mark.parametrize(
    ("text", "asked", "meant"),
    [
        ("", (0, 0), (0, 0)),
        ("x = ", (0, 99), (0, 4)),
        ("x = ", (7, 3), (0, 4)),
        ("x = \n", (1, 0), (1, 0)),
        ("x = \r\ny", (0, 5), (0, 4)),
    ],
)
async def test_the_position_is_clamped_into_the_document(editor, text, asked, meant):
    uri = editor.open("untitled:clamped", text)
    (item,) = await editor.items(uri, *asked)
    at = types.Position(*meant)
    assert item.range == types.Range(at, at)
    assert await editor.suggestion(uri, *meant) == item.insert_text


async def test_line_ends_do_not_matter(editor):
    unix = editor.open("untitled:lines", TEXT)
    assert await editor.suggestion(unix, *END) == f"⟨{TEXT}⟩"
    windows = editor.open("untitled:lines", TEXT.replace("\n", "\r\n"))
    assert await editor.suggestion(windows, *END) == f"⟨{TEXT}⟩"


@pytest.mark.parametrize("before", ["a\f", "a\u2028b", "a\x85", "€", "😀", "e\u0301", "\t😀\f€"])
async def test_edits_land_where_the_client_means_them(encoded_editors, before):
    """In every encoding: a document edited into shape, and the same text opened afresh."""
    text = f"s = '{before}'\r\nt = "
    for encoding, editor in encoded_editors.items():
        width = units(f"s = '{before}'", encoding)
        edited = editor.open("untitled:doc", f"s = '{before}'\r\nwrong\r\nt = ")
        editor.edit(edited, (0, width), (1, 5), "")
        expected = f"⟨s = '{before}'\nt = ⟩"
        assert await editor.suggestion(edited, 1, 4) == expected
        fresh = editor.open("untitled:doc", text)
        assert await editor.suggestion(fresh, 1, 4) == expected
        # Behind the odd characters, on their line.
        (item,) = await editor.items(fresh, 0, width)
        assert item.range.start == types.Position(0, width)
        assert item.insert_text == f"⟨s = '{before}'⟩"


def units(text, encoding):
    width = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
    codec = "utf-8" if encoding == "utf-8" else f"{encoding}-le"
    return len(text.encode(codec)) // width


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def encoded_editors(tmp_path_factory):
    """An editor for each position encoding, on an empty folder."""
    folder = tmp_path_factory.mktemp("encodings")
    (folder / "ws").mkdir()

    def start(encoding):
        can = capabilities(encoding=encoding)
        return editing(folder, folder / "ws", can=can, settings=scripted(folder, answers=ANSWERS))

    async with start("utf-8") as utf_8, start("utf-16") as utf_16, start("utf-32") as utf_32:
        editors = {"utf-8": utf_8, "utf-16": utf_16, "utf-32": utf_32}
        for editor in editors.values():
            await editor.indexed()
        yield editors


async def test_the_encodings_agree(encoded_editors):
    text = "😀 = '€'; y = "
    for encoding, editor in encoded_editors.items():
        uri = editor.open("untitled:agree", text)
        assert await editor.suggestion(uri, 0, units(text, encoding)) == f"⟨{text}⟩"


async def test_half_a_surrogate_pair_is_no_harm(encoded_editors):
    editor = encoded_editors["utf-16"]
    uri = editor.open("untitled:half", "x = '\ud83d'; y = ")
    assert await editor.suggestion(uri, 0, 14)


async def test_ghost_text_begins_with_the_selected_item_of_the_popup(editor):
    uri = editor.open("untitled:selected", "result = frob")
    word = types.Range(types.Position(0, 9), types.Position(0, 13))
    selected = types.SelectedCompletionInfo(word, "frobnicate")
    (item,) = await editor.items(uri, 0, 13, automatic=True, selected=selected)
    assert item.range == word
    accepted = editor.open("untitled:selected", "result = frobnicate")
    assert item.insert_text == "frobnicate" + await editor.suggestion(accepted, 0, 19)


async def test_clients_without_ghost_text_get_one_item_in_the_popup(popup_editor):
    uri = popup_editor.open("untitled:popup", "value = frobnic")
    answer = await popup(popup_editor, uri, 0, 15)
    assert answer.is_incomplete
    (item,) = answer.items
    assert item.kind == types.CompletionItemKind.Text
    assert item.detail == "longllama"
    assert item.text_edit.range == types.Range(types.Position(0, 8), types.Position(0, 15))
    ghost = await popup_editor.suggestion(uri, 0, 15)
    assert item.text_edit.new_text == item.filter_text == "frobnic" + ghost
    assert item.label.startswith("frobnic")
    assert not (await popup(popup_editor, "file:///unknown.py", 0, 0)).items


async def test_the_popup_is_left_alone_where_there_is_ghost_text(editor):
    uri = editor.open("untitled:popup", "value = frobnic")
    typed = types.CompletionTriggerKind.TriggerCharacter
    assert not (await popup(editor, uri, 0, 15, typed)).items
    assert not (await popup(editor, uri, 0, 15)).items  # "invoked" is said of typing a word too


async def test_settings_change_while_it_runs(tmp_path):
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "a.py").write_text(LIB)
    settings = tiny(tmp_path)

    def configured(**section):
        value = {"longllama": {**settings, **section}}
        editor.workspace_did_change_configuration(types.DidChangeConfigurationParams(value))

    async with editing(tmp_path, tmp_path / "ws", settings=settings) as editor:
        await editor.indexed()
        uri = editor.open("untitled:a", "x = y + [a, b, c]")
        at_end = editor.open("untitled:b", "x = ")
        assert await editor.items(uri, 0, 8, automatic=True) == []
        configured(trigger={"debounceMs": 0, "maxLineSuffix": 100})
        assert await editor.items(uri, 0, 8, automatic=True) != []
        configured(trigger={"mode": "manual"})
        assert await editor.items(at_end, 0, 4, automatic=True) == []
        assert await editor.last_reason() == "manual_mode"
        assert await editor.items(at_end, 0, 4) != []
        configured(enableLanguages={"python": False, "*": True})
        assert await editor.items(at_end, 0, 4) == []
        assert await editor.last_reason() == "language_disabled"
        configured(enableLanguages={"python": True, "*": False})
        assert await editor.items(at_end, 0, 4) != []
        configured(completion={"maxTokens": 3})
        assert 0 < len(await editor.suggestion(at_end, 0, 4)) <= 3
        engine = (await editor.status())["engine_pid"]

        configured(enable=False)
        await editor.until(lambda: editor.phase == "off")
        assert await editor.items(at_end, 0, 4) == []
        status = await editor.status()
        assert (status["last_reason"], status["engine_pid"]) == ("disabled", None)
        configured(enable=True)
        await editor.until(lambda: editor.phase == "ready")
        assert await editor.items(at_end, 0, 4) != []
        status = await editor.status()
        assert status["engine_pid"] not in (None, engine)
        assert status["files"]["segments_encoded"] == 0


async def test_turned_off_from_the_start(tmp_path):
    (tmp_path / "a.py").write_text(LIB)
    settings = {**scripted(tmp_path), "enable": False}
    async with editing(tmp_path, tmp_path, settings=settings) as editor:
        status = await editor.indexed()
        assert (status["kind"], status["phase"]) == ("Inactive", "off")
        assert status["engine_pid"] is None
        assert await editor.memory() == {}


CLOSED_LINE = "if isinstance(é, Usage)\n"
AT_CLOSER = (0, len("if isinstance(é, Usage"))


async def test_a_bracket_that_the_editor_closed_is_replaced(editor):
    (item,) = await editor.items(editor.open("untitled:closed", CLOSED_LINE), *AT_CLOSER)
    end = types.Position(0, AT_CLOSER[1] + 1)
    assert item.insert_text == "Error):"
    assert item.range == types.Range(types.Position(*AT_CLOSER), end)


async def test_an_item_of_a_popup_replaces_it_as_well(popup_editor):
    uri = popup_editor.open("untitled:closed", CLOSED_LINE)
    (item,) = (await popup(popup_editor, uri, *AT_CLOSER)).items
    start = types.Position(0, AT_CLOSER[1] - len("Usage"))
    end = types.Position(0, AT_CLOSER[1] + 1)
    assert item.text_edit == types.TextEdit(types.Range(start, end), "UsageError):")


async def test_neovims_popup_inserts_what_needs_no_replacing(tmp_path):
    options = {"can": capabilities(inline=False), "settings": scripted(tmp_path, answers=ANSWERS)}
    async with editing(tmp_path, tmp_path, name="Neovim", **options) as editor:
        await editor.indexed()
        (item,) = (await popup(editor, editor.open("untitled:a", CLOSED_LINE), *AT_CLOSER)).items
        assert item.text_edit.new_text == "UsageError"
        assert item.text_edit.range.end == types.Position(*AT_CLOSER)

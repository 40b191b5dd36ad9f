"""Checks for answers on disk, in the document and in a prompt: planted ones are found."""

import pytest

from lsp_server.benchmarks.workspaces.leaks import (
    Leak,
    leak_in_prompt,
    leak_of_document,
    leaks,
)
from lsp_server.benchmarks.workspaces.memory_report import unexpected_in_memory
from lsp_server.benchmarks.workspaces.passages import without_answers
from lsp_server.benchmarks.workspaces.trees import copy_tree
from tests.server.benchmarks.small_benchmark import SHAPES, USES


@pytest.fixture
def workspace(instances, tmp_path):
    """A workspace without the answers, in which the checks find nothing."""
    target = tmp_path / "ws"
    copy_tree(instances[0].tree, target, instances)
    assert leaks(target, instances) == []
    return target


def test_planted_answers_are_found_in_every_file(instances, workspace):
    (workspace / "notes").mkdir()
    (workspace / "notes" / "old.txt").write_text(f"# before\n{USES}")
    (workspace / "uses.py").write_text(without_answers(instances[0], [instances[0]]))
    assert set(leaks(workspace, instances)) == {
        Leak(instances[0].id, "notes/old.txt"),
        Leak(instances[1].id, "notes/old.txt"),
        Leak(instances[1].id, "uses.py"),
    }


@pytest.mark.parametrize(
    "planted",
    [
        USES.replace("\n", "\r\n").encode(),
        USES.replace("\n", "\r").encode(),
        USES.encode("utf-16"),
        USES.encode("utf-16-be"),
        b"\xff\xfe\x00\x00" + USES.encode("utf-32-le"),
        b"\xff" + USES.encode(),
    ],
)
def test_planted_answers_are_found_in_every_encoding(instances, workspace, planted):
    (workspace / "planted.bin").write_bytes(planted)
    assert {str(leak) for leak in leaks(workspace, instances)} == {
        f"the answer of {each.id} is in planted.bin" for each in instances
    }


def test_answers_with_letters_beyond_ascii_are_found_in_old_encodings(instances, tmp_path):
    text = USES.replace("square.area_in_metres()", "square.fläche_in_metern()")
    at = text.index("square.fl")
    answer = text[at : text.index("\n", at)]
    one = type(instances[0])("i", "r", "f.py", text[:at], answer, text[at + len(answer) :])
    for encoding in ("utf-8", "cp1252", "utf-16"):
        (tmp_path / "planted.py").write_bytes(text.encode(encoding))
        assert leaks(tmp_path, [one]) == [Leak("i", "planted.py")]


def test_planted_answers_are_found_behind_links(instances, workspace, tmp_path):
    outside = tmp_path / "outside.py"
    outside.write_text(USES)
    (workspace / "link.py").symlink_to(outside)
    assert {leak.place for leak in leaks(workspace, instances)} == {"link.py"}


def test_a_link_to_a_folder_outside_is_no_workspace(instances, workspace, tmp_path):
    (workspace / "more").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="'more' is a link that leads out"):
        leaks(workspace, instances)


def test_the_same_words_elsewhere_are_no_leak(instances, workspace):
    (workspace / "other.py").write_text("def f(square):\n    area = square.area_in_metres()\n")
    assert leaks(workspace, instances) == []


def test_an_answer_in_the_opened_document_is_a_leak(instances):
    first = instances[0]
    assert leak_of_document(first, instances, first.opened) is None
    leak = Leak(first.id, "uses.py, as it is opened")
    assert leak_of_document(first, instances, USES) == leak
    assert leak_of_document(first, instances, USES.replace("\n", "\r\n")) == leak


@pytest.mark.parametrize(
    "excerpt",
    [
        USES,
        USES[: USES.index("edge")],
        USES[USES.index("    area") :],
        USES[USES.index("    square") : USES.index("    edge")],
        USES.replace("\n", "\r\n"),
    ],
)
def test_an_answer_in_an_excerpt_of_the_prompt_is_a_leak(instances, excerpt):
    first = instances[0]
    assert leak_in_prompt(first, instances, [SHAPES, excerpt]) == Leak(first.id, "its prompt")


def test_an_excerpt_without_the_answer_is_none(instances):
    first = instances[0]
    excerpts = [SHAPES, first.opened, first.opened[40:], first.before, first.after, ""]
    assert leak_in_prompt(first, instances, excerpts) is None
    assert leak_in_prompt(first, instances, ["    area = square.area_in_metres()\n"]) is None


# What the server says of its memory.


def listed(path, tokens, state="in_memory"):
    return {"path": path, "state": state, "reason": None, "tokens": tokens, "bytes": tokens}


def test_memory_that_is_the_workspace_and_the_document_is_expected(workspace):
    memory = {"files": [listed("uses.py", 5), listed("shapes.py", 7), listed("x", 0, "left_out")]}
    status = {"engine": {"n_files": 2, "n_tokens": 12}}
    assert unexpected_in_memory(memory, status, workspace, None) == []


@pytest.mark.parametrize(
    ("path", "engine", "said"),
    [
        ("../outside.py", (1, 5), "'../outside.py' is in memory and not in the workspace"),
        ("absent.py", (1, 5), "'absent.py' is in memory and not in the workspace"),
        ("uses.py", (2, 5), "the engine has 2 files in memory, the server lists 1"),
        ("uses.py", (1, 10), "the engine has 10 tokens in memory, the server lists 5"),
    ],
)
def test_what_else_is_in_memory_is_told(workspace, tmp_path, path, engine, said):
    (tmp_path / "outside.py").write_text(USES)
    status = {"engine": dict(zip(("n_files", "n_tokens"), engine, strict=True))}
    assert unexpected_in_memory({"files": [listed(path, 5)]}, status, workspace, None) == [said]


def test_the_document_need_not_be_on_disk(workspace):
    memory, status = {"files": [listed("new.py", 5)]}, {"engine": {"n_files": 1, "n_tokens": 5}}
    assert unexpected_in_memory(memory, status, workspace, "new.py") == []

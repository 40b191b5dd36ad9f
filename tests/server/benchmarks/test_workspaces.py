"""Workspaces without answers: every copy loses them, and nothing else changes."""

import shutil
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.paths import files, write_inside
from lsp_server.benchmarks.workspaces.leaks import leaks
from lsp_server.benchmarks.workspaces.passages import (
    AFTER_CHARS,
    BEFORE_CHARS,
    MIN_PART_CHARS,
    Passage,
    passages,
    without_answers,
)
from lsp_server.benchmarks.workspaces.trees import copy_tree
from tests.server.benchmarks.small_benchmark import ANSWERS, SHAPES, USES


def instance_at(text, start, end, file="f.py"):
    return Instance(f"{file}:{start}", "r", file, text[:start], text[start:end], text[end:])


# Copies.


def test_every_answer_is_cut_out_of_the_workspace(instances, tmp_path):
    target = tmp_path / "ws"
    copy_tree(instances[0].tree, target, instances)
    cut = (target / "uses.py").read_text()
    assert cut == USES.replace(ANSWERS[0], "").replace(ANSWERS[1], "")
    assert (target / "shapes.py").read_text() == SHAPES
    assert leaks(target, instances) == []


def test_texts_that_the_data_holds_are_written_without_answers(instances, tmp_path):
    target = tmp_path / "ws"
    texts = {"a/shapes.py": SHAPES, "old/uses.py": USES}
    copy_tree(texts, target, [replace(each, tree=None, files=texts) for each in instances])
    cut = USES.replace(ANSWERS[0], "").replace(ANSWERS[1], "")
    found = {path.relative_to(target).as_posix(): path.read_text() for path in files(target)}
    assert found == {"a/shapes.py": SHAPES, "old/uses.py": cut, "uses.py": cut}


@pytest.mark.parametrize("file", ["../out.py", "/tmp/out.py", "a/../../out.py", "a\0b"])
def test_paths_of_the_data_do_not_lead_out(instances, tmp_path, file):
    with pytest.raises(ValueError, match="leads out of its repository"):
        copy_tree({file: "x"}, tmp_path / "ws", instances)


@pytest.mark.parametrize(
    "copied",
    [
        USES.encode(),
        USES.replace("\n", "\r\n").encode(),
        USES.encode("utf-16"),
        USES.encode("utf-16-le"),
        USES.encode("utf-32"),
        b"\xef\xbb\xbf" + USES.encode(),
        f"# für später\n{USES}".encode("cp1252"),
        f"before\n{USES}{USES}".encode(),
    ],
)
def test_copies_of_the_file_lose_their_answers_in_every_encoding(instances, tmp_path, copied):
    tree, target = instances[0].tree, tmp_path / "ws"
    (tree / "build").mkdir()
    (tree / "build" / "copy.py").write_bytes(copied)
    copy_tree(tree, target, instances)
    left = (target / "build" / "copy.py").read_bytes().replace(b"\0", b"")
    assert ANSWERS[0].encode() not in left
    assert b"def measure" in left
    assert leaks(target, instances) == []


def test_a_file_without_answers_is_copied_byte_for_byte(instances, tmp_path):
    content = bytes(range(256)) * 3 + b"\r\n"
    (instances[0].tree / "logo.bin").write_bytes(content)
    copy_tree(instances[0].tree, tmp_path / "ws", instances)
    assert (tmp_path / "ws" / "logo.bin").read_bytes() == content


def test_git_is_not_copied(instances, tmp_path):
    (instances[0].tree / ".git").mkdir()
    (instances[0].tree / ".git" / "packed").write_text(USES)
    copy_tree(instances[0].tree, tmp_path / "ws", instances)
    assert not (tmp_path / "ws" / ".git").exists()


# Links.


def test_an_answers_file_that_is_a_link_out_of_the_repository_is_refused(instances, tmp_path):
    outside = tmp_path / "outside.py"
    outside.write_text(USES)
    path = instances[0].tree / "uses.py"
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(ValueError, match=r"'uses\.py' is a path or a link that leads out"):
        copy_tree(instances[0].tree, tmp_path / "ws", instances)
    assert outside.read_text() == USES


def test_links_out_of_the_repository_are_left_out(instances, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "copy.py").write_text(USES)
    tree, target = instances[0].tree, tmp_path / "ws"
    (tree / "folder").symlink_to(outside)
    (tree / "file.py").symlink_to(outside / "copy.py")
    (tree / "own.py").symlink_to(tree / "uses.py")  # absolute: leads to the original
    (tree / "loop").symlink_to("loop")
    (tree / "alias.py").symlink_to("uses.py")
    copy_tree(tree, target, instances)
    assert sorted(path.name for path in target.iterdir()) == ["alias.py", "shapes.py", "uses.py"]
    assert ANSWERS[0] not in (target / "alias.py").read_text()
    assert (outside / "copy.py").read_text() == USES


def test_nothing_is_written_through_a_link(tmp_path):
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "out").symlink_to(tmp_path)
    with pytest.raises(ValueError, match=r"'out/x\.py' is a path or a link that leads out"):
        write_inside(tmp_path / "ws", "out/x.py", "x")


# Laws.


@st.composite
def cut_texts(draw):
    """A text, and spans in it that may overlap, touch or be equal."""
    text = draw(st.text("ab \n", max_size=60))
    edges = st.integers(0, len(text))
    spans = draw(st.lists(st.tuples(edges, edges).map(sorted), max_size=6))
    return text, [instance_at(text, *span) for span in spans]


@given(cut_texts())
def test_cutting_leaves_what_is_outside_of_the_answers(drawn):
    text, every = drawn
    spans = [instance.span for instance in every]
    kept = "".join(c for n, c in enumerate(text) if not any(a <= n < b for a, b in spans))
    for instance, passage in zip(every, passages(every), strict=True):
        assert without_answers(instance, every) == kept
        assert passage.with_answer in text
        assert instance.before.endswith(passage.before)
        assert instance.after.startswith(passage.after)


@given(cut_texts(), st.lists(st.integers(0, 3), max_size=3))
def test_what_was_cut_is_not_found(tmp_path_factory, drawn, copies):
    text, every = drawn
    if not every:
        return
    target = tmp_path_factory.mktemp("ws") / "ws"
    texts = {f"copies/{n}.py": f"b{text * n}a" for n in copies}
    copy_tree(texts, target, every)
    assert leaks(target, every) == []
    assert {path.name for path in files(target)} == {"f.py", *(f"{n}.py" for n in copies)}
    shutil.rmtree(target)


@given(st.text("ab", max_size=30), st.text("ab", min_size=1), st.text("ab", max_size=30), st.text())
def test_a_passage_that_was_removed_is_gone(before, answer, after, text):
    passage = Passage("i", "f.py", before, answer, after)
    for whole in (text, text + passage.with_answer * 2, passage.with_answer + text):
        left = passage.removed_from(whole)
        assert not passage.is_in(left)
        assert passage.is_in(whole) or left == whole


DISTINCT = "".join(map(chr, range(0x4E00, 0x4E00 + 1200)))
"""A text in which no two characters are alike, so that there is one place for each part."""


@given(st.integers(0, 600), st.integers(1, 300), st.data())
def test_an_answer_is_recognised_in_a_part_of_its_file(start, length, data):
    instance = instance_at(DISTINCT, start, start + length)
    (passage,) = passages([instance])
    first = max(0, start - BEFORE_CHARS)
    end = min(len(DISTINCT), start + length + AFTER_CHARS)
    begin = data.draw(st.integers(0, len(DISTINCT)))
    stop = data.draw(st.integers(begin, len(DISTINCT)))
    in_common = min(end, stop) - max(first, begin)
    of_answer = min(start + length, stop) - max(start, begin)
    expected = of_answer > 0 and in_common >= min(MIN_PART_CHARS, end - first)
    assert passage.is_partly_in(DISTINCT[begin:stop]) == expected
    assert not passage.is_partly_in(instance.opened[begin:stop])


def test_blank_answers_are_nowhere():
    passage = Passage("i", "f.py", "a", " \n", "b")
    assert not passage.is_in("a \nb")
    assert not passage.is_partly_in("a \nb")


def test_an_answer_that_repeats_itself_is_searched_in_bounded_time():
    passage = Passage("i", "f.py", "", "a" * 200_000, "")
    assert passage.is_partly_in("a" * 100_000)
    assert not passage.is_partly_in("a" * 1000 + "b" + "a" * 39)

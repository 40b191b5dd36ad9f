"""The sample project: it works, and its lines need another file."""

import os
import subprocess
import sys
from pathlib import Path

from longllama_code.definitions.index import DefinitionIndex
from lsp_server.demo.places import NAME
from lsp_server.demo.sample import RENAMING, SAMPLE, copy_sample, sample_places

MIN_LINES = 2_000


def test_its_own_tests_pass(tmp_path: Path) -> None:
    root = copy_sample(tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_it_is_a_project_of_some_size() -> None:
    texts = [path.read_text("utf-8") for path in SAMPLE.rglob("*.py")]
    assert sum(text.count("\n") for text in texts) > MIN_LINES


def test_the_next_name_of_each_line_is_defined_in_one_other_file_alone() -> None:
    index = DefinitionIndex()
    for path in sorted(SAMPLE.rglob("*.py")):
        index.put(path.relative_to(SAMPLE).as_posix(), path.read_text("utf-8"))
    places = sample_places()
    assert len({place.file for place in places}) == len(places) == 5
    for place in places:
        name = NAME.findall(place.expected)[0]
        (defining,) = index.defining(name)
        assert defining != place.file
        assert name not in NAME.findall(place.text), f"{place.file} tells {name}"


def test_the_end_of_a_line_stands_nowhere_else() -> None:
    places = sample_places()
    for path in SAMPLE.rglob("*.py"):
        text = path.read_text("utf-8")
        file = path.relative_to(SAMPLE).as_posix()
        assert [
            each.expected for each in places if each.file != file and each.expected in text
        ] == []


def test_the_edit_renames_what_the_last_line_needs(tmp_path: Path) -> None:
    root, place = copy_sample(tmp_path), sample_places()[-1]
    line = RENAMING.apply(root)
    lines = (root / RENAMING.file).read_text("utf-8").split("\n")
    assert RENAMING.new in lines[line - 1]
    assert not any(RENAMING.old in each for each in lines)
    assert RENAMING.after(place).expected.startswith(RENAMING.new)
    assert RENAMING.file != place.file
    assert RENAMING.old in (SAMPLE / RENAMING.file).read_text("utf-8")

"""Lines that the demo chooses in a project of the user's."""

from pathlib import Path

import pytest

from lsp_server.demo.own_lines import own_places

FILLER = "\n".join(f"FILLER_{number} = {number}" for number in range(25))


def write(root: Path, name: str, text: str) -> None:
    (root / name).write_text(f"{FILLER}\n{text}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "ledger.py", "class Ledger:\n    def post_harbour_dues(self, ship): ...\n")
    return tmp_path


def test_a_name_that_one_other_file_defines_is_chosen(root: Path) -> None:
    write(root, "bill.py", "def bill(ledger, ship):\n    return ledger.post_harbour_dues(ship)\n")
    (place,) = own_places(root, 5)
    assert (place.file, place.line) == ("bill.py", 27)
    assert (place.typed, place.expected) == ("return ledger.", "post_harbour_dues(ship)")
    assert place.about == "post_harbour_dues of ledger.py"


@pytest.mark.parametrize(
    "text",
    [
        "print(ledger.post_harbour_dues(1))\nprint(ledger.post_harbour_dues(2))\n",
        "# see ledger.post_harbour_dues(ship)\n",
        "from ledger import (post_harbour_dues)\n",
        "value = ledger.unknown_everywhere(ship)\n",
        "def post_harbour_dues(ship): ...\n",
    ],
)
def test_names_that_the_file_tells_or_no_file_defines_are_not(root: Path, text: str) -> None:
    write(root, "bill.py", text)
    assert own_places(root, 5) == []


def test_a_name_that_several_files_define_is_not(root: Path) -> None:
    write(root, "bill.py", "bill = ledger.post_harbour_dues(ship)\n")
    write(root, "other.py", "def post_harbour_dues(ship): ...\n")
    assert own_places(root, 5) == []


def test_no_line_is_taken_of_files_that_are_ignored(root: Path) -> None:
    write(root, "bill.py", "bill = ledger.post_harbour_dues(ship)\n")
    (root / ".gitignore").write_text("bill.py\n")
    assert own_places(root, 5) == []


def test_each_file_gives_one_line_and_the_longest_names_come_first(root: Path) -> None:
    write(root, "names.py", "def a_rather_long_name(): ...\ndef short_name(): ...\n")
    write(root, "first.py", "x = names.short_name()\ny = ledger.post_harbour_dues(1)\n")
    write(root, "second.py", "x = names.a_rather_long_name()\n")
    assert [place.file for place in own_places(root, 5)] == ["second.py", "first.py"]
    assert [place.file for place in own_places(root, 1)] == ["second.py"]

"""The documents name only what is there: paths, names in files, links. They stay short."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
NAMES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")
DOCUMENTS = [
    *(ROOT / name for name in NAMES),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "editor-client" / "README.md",
    ROOT / "longllama_code" / "data" / "CODER.md",
    ROOT / "longllama_code" / "data" / "MINI.md",
]
MAX_README_LINES = 150
MAX_ARCHITECTURE_BYTES = 15_000
FOLDERS = ("longllama_code", "lsp_server", "tests", "docs", "editor-client", ".github", ".ci")
FILE = re.compile(r".+\.(?:el|js|jsonl?|lua|md|py|safetensors|sh|svg|toml|ts|txt|ya?ml)")
EXAMPLE = re.compile(
    r"(?:[abc]|app|lib|src/app)\.py|(?:cert|key)\.pem|FILE\.(?:jsonl?|md|svg)|pyproject\.toml"
    r"|(?:answers|config|dashboard|tokenizer|tokens)\.json"
    r"|(?:instances|line_completion(?:_rg1_bm25)?|session)\.jsonl"
)
"""Names that stand for a user's own files, or for files inside a model or a data set."""

QUOTED = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"[\w.@-]+(?:/[\w.@*-]+)*/?")
LINK = re.compile(r"\]\(([^)\s#]+)(#[^)\s]*)?\)")
WORKFLOW = ROOT / ".github" / "workflows" / "test.yml"


def without_blocks(text: str) -> str:
    """The text without blocks of code, which hold commands and examples."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def quoted_paths(text: str) -> Iterator[tuple[str, str]]:
    """Pairs of a path that stands in backquotes and of what it names there; empty, the file."""
    for quoted in QUOTED.findall(without_blocks(text)):
        # A command names its file after `python`; everything behind it is its own.
        words = quoted.split()
        words = words[1:] if words[0] == "python" and len(words) > 1 else words
        path, _, symbol = words[0].partition(":")
        if is_ours(path):
            yield path, symbol


def is_ours(path: str) -> bool:
    if EXAMPLE.fullmatch(path) or not PATH.fullmatch(path):
        return False
    return FILE.fullmatch(path) is not None or path.startswith(tuple(f"{x}/" for x in FOLDERS))


def found(path: str, document: Path) -> list[Path]:
    """Where a path is: from the root, from the document's folder, or a file's name alone."""
    pattern = path.rstrip("/")
    for base in (ROOT, document.parent):
        if matches := sorted(base.glob(pattern)):
            return matches
    return [] if "/" in path else [*in_repository(pattern)]


def in_repository(name: str) -> Iterator[Path]:
    for folder in FOLDERS:
        matches = (ROOT / folder).rglob(name)
        yield from (match for match in matches if "node_modules" not in match.parts)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_and_names_are_there(document: Path) -> None:
    missing = []
    for path, symbol in quoted_paths(document.read_text("utf-8")):
        files = found(path, document)
        name = symbol.rpartition(".")[2]
        if not files or (
            re.fullmatch(r"[A-Za-z_]\w*", name)
            and not any(defines(file, name) for file in files if file.is_file())
        ):
            missing.append(f"{path}:{symbol}" if symbol else path)
    assert missing == []


def defines(file: Path, name: str) -> bool:
    pattern = rf"^\s*(?:(?:async )?def|class) {name}\b|^\s*{name}\b\s*[:=]"
    return re.search(pattern, file.read_text("utf-8"), re.MULTILINE) is not None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for target, heading in LINK.findall(without_blocks(document.read_text("utf-8"))):
        if "://" in target:
            continue
        path = document.parent / target
        if not path.exists() or (heading and heading[1:] not in headings(path)):
            broken.append(target + heading)
    assert broken == []


def headings(path: Path) -> set[str]:
    """The anchors of a document, as they are made on GitHub."""
    lines = re.findall(r"^#+ (.+)$", without_blocks(path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def test_a_path_or_a_name_that_is_gone_is_found() -> None:
    text = "`lsp_server/gone.py`, `gone.py`, `lsp_server/server.py:Gone`, `gone/x`, `python -m x`"
    paths = list(quoted_paths(text))
    expected = [("lsp_server/gone.py", ""), ("gone.py", ""), ("lsp_server/server.py", "Gone")]
    assert paths == expected
    assert [bool(found(path, ROOT / "README.md")) for path, _ in paths] == [False, False, True]
    assert not defines(ROOT / "lsp_server" / "server.py", "Gone")
    assert defines(ROOT / "lsp_server" / "server.py", "Server")


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= MAX_README_LINES


def test_the_readme_begins_with_the_two_commands() -> None:
    head = (ROOT / "README.md").read_text("utf-8").split("```")[1].removeprefix("sh").split("\n")
    assert [line.split("#")[0].strip() for line in head if line] == ["make demo", "make test"]


def test_the_architecture_is_short() -> None:
    assert (ROOT / "ARCHITECTURE.md").stat().st_size <= MAX_ARCHITECTURE_BYTES


def test_the_architecture_names_every_folder() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    packages = [ROOT / "longllama_code", ROOT / "lsp_server"]
    folders = [path.parent for package in packages for path in package.glob("*/__init__.py")]
    assert [folder.name for folder in folders if f"{folder.relative_to(ROOT)}`" not in text] == []


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text("utf-8")
    pages = sorted(folder.glob("0*.md"))
    assert [page.name for page in pages if f"({page.name})" not in index] == []
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        parts = re.findall(r"^## (.+)$", page.read_text("utf-8"), re.MULTILINE)
        assert parts == ["Context", "Decision", "Numbers", "Consequences"], page.name


def test_every_document_is_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    pages = [ROOT / name for name in NAMES[1:]] + sorted((ROOT / "docs").glob("*.md"))
    names = [str(page.relative_to(ROOT)) for page in pages]
    assert [name for name in names if f"({name})" not in readme] == []


def test_the_workflow_runs_the_tests_everywhere() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text("utf-8"))
    # YAML 1.1 reads the key `on` as a boolean.
    assert {"push", "pull_request"} <= set(workflow[True])
    assert workflow["permissions"] == {"contents": "read"}
    job = workflow["jobs"]["test"]
    matrix = job["strategy"]["matrix"]
    assert [name.split("-")[0] for name in matrix["os"]] == ["ubuntu", "macos", "windows"]
    assert matrix["python"] == ["3.10", "3.11", "3.12", "3.13", "3.14"]
    assert job["runs-on"] == "${{ matrix.os }}"
    steps = job["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    assert any(step.get("run", "").startswith("make test") for step in steps)
    (python,) = [step for step in steps if "setup-python" in step.get("uses", "")]
    assert python["with"]["python-version"] == "${{ matrix.python }}"


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")))
def test_issue_forms_can_be_read(path: Path) -> None:
    form = yaml.safe_load(path.read_text("utf-8"))
    if path.name == "config.yml":
        assert set(form) <= {"blank_issues_enabled", "contact_links"}
        return
    assert {"name", "description", "body"} <= set(form)
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in fields]
    assert len(ids) == len(set(ids)) > 0
    assert all(field["attributes"]["label"] for field in fields)

"""The site: all documents, every link checked, and nothing in it comes from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

pytest.importorskip("material")

FOREIGN = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?(?:https?:)?//[^\s\">]+"
    r"|<link\b[^>]*\brel=\"?(?:stylesheet|preconnect|icon)[^>]*\bhref=\"?(?:https?:)?//[^\s\">]+"
    r"|@import[^;]*//[^;]+|url\([\"']?(?:https?:)?//[^)]+"
)


def build(
    folder: Path, configuration: Path = ROOT / "mkdocs.yml"
) -> subprocess.CompletedProcess[str]:
    """Build the site into a folder."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(configuration)]
    return subprocess.run(
        [*command, "-d", str(folder)], capture_output=True, text=True, cwd=ROOT, timeout=300
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_document_is_a_page(site: Path) -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    names = [str(path.relative_to(ROOT).with_suffix(".html")) for path in documents]
    names = [re.sub(r"README\.html$", "index.html", name) for name in names]
    assert len(names) > 60
    assert [name for name in names if not (site / name).is_file()] == []


def test_pictures_of_pages_come_along(site: Path) -> None:
    page = site / "docs" / "quick-start" / "vscode.html"
    pictures = re.findall(r'<img [^>]*src="([^"]+)"', page.read_text("utf-8"))
    assert len(pictures) >= 5
    assert [name for name in pictures if not (page.parent / name).is_file()] == []


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    found = {path.name: FOREIGN.findall(path.read_text("utf-8")) for path in pages}
    assert {name: these for name, these in found.items() if these} == {}


def test_what_would_be_fetched_is_found() -> None:
    for text in (
        '<script src="https://example.org/a.js">',
        "<link rel=stylesheet href=https://fonts.example.org/css>",
        "@font-face { src: url(https://example.org/a.woff) }",
    ):
        assert FOREIGN.search(text)
    assert not FOREIGN.search('<a href="https://example.org">, <link rel="canonical" href="//a">')


def test_a_broken_link_fails_the_build(tmp_path: Path) -> None:
    configuration = tmp_path / "mkdocs.yml"
    given = (ROOT / "mkdocs.yml").read_text("utf-8").split("\nnav:")[0]
    given = re.sub(r"^hooks:.*$", "", given, flags=re.MULTILINE)
    configuration.write_text(given, "utf-8")
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "README.md"
    page.write_text("# A\n\n[here](#a)\n")
    assert build(tmp_path / "built", configuration).returncode == 0
    for broken in ("[b](b.md)", "[b](#b)"):
        page.write_text(f"# A\n\n{broken}\n")
        assert build(tmp_path / "built", configuration).returncode != 0, broken

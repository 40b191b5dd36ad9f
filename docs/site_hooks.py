"""Hooks of mkdocs: the pages are the repository's own documents, at their own paths.

So a link means the same here, in an editor and in a viewer of the repository, also where it leads
out of this folder. Files that a page links and that are no pages, such as pictures, come along.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "*.md",
    "docs/**/*.md",
    "editor-client/*.md",
    "editor-client/vscode/*.md",
    "longllama_code/data/*.md",
    "tests/bench/RESULTS.md",
)
LINK = re.compile(r"\]\(([^)\s#]+)")
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replace each folder of the navigation by its pages."""
    config.nav = [_with_pages(item) for item in config.nav or ()]
    return config


def _with_pages(item: Any) -> Any:
    if isinstance(item, dict):
        return {title: _with_pages(inner) for title, inner in item.items()}
    if isinstance(item, list):
        return [page for inner in item for page in _as_list(_with_pages(inner))]
    if not item.endswith("/"):
        return item
    pages = sorted((ROOT / item).glob("*.md"), key=lambda page: (page.name != "README.md", page))
    return [page.relative_to(ROOT).as_posix() for page in pages]


def _as_list(item: Any) -> list[Any]:
    return item if isinstance(item, list) else [item]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace the files of this folder by all documents of the repository."""
    of_theme = [file for file in files if file.src_dir != config.docs_dir]
    found = (path for pattern in PAGES for path in ROOT.glob(pattern))
    pages = {page.resolve() for page in found if "node_modules" not in page.parts}
    paths = sorted(pages | {path for page in pages for path in linked(page)})
    return Files([*of_theme, *(_file(path, config) for path in paths)])


def linked(page: Path) -> Iterator[Path]:
    """Yield the files of the repository that a page links; a folder is none."""
    for target in LINK.findall(BLOCK.sub("", page.read_text("utf-8"))):
        path = (page.parent / target).resolve()
        if "://" not in target and path.is_file() and path.is_relative_to(ROOT):
            yield path


def _file(path: Path, config: MkDocsConfig) -> File:
    name = path.relative_to(ROOT).as_posix()
    return File(name, str(ROOT), config.site_dir, use_directory_urls=config.use_directory_urls)

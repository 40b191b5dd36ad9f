"""Names that repositories of TypeScript and JavaScript import, checked as if they were suggested.

Each name that is imported from a relative path, and each that is taken from an imported namespace,
is taken out of its file and checked as a suggestion there. What is refused should not be: the code
runs. Besides, two letters are added to each name, which makes it one that exists nowhere, to see
how many of these are refused. No model is run.

Usage: python tests/bench/existing_script_names.py FOLDER [FOLDER ...] [--files N] [--show]
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from longllama_code.definitions.existing_names import missing_name
from longllama_code.definitions.index import CONFIGURATION, DefinitionIndex
from longllama_code.definitions.languages import language_of
from longllama_code.definitions.script_names import CHAIN, LISTED, PART

MAX_BYTES = 400_000
SCRIPTS = ("typescript", "javascript")


def texts_of(folder: Path) -> dict[str, str]:
    """Return the scripts and configurations of a repository."""
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8", "replace")
        for path in sorted(folder.rglob("*.*"))
        if "node_modules" not in path.parts
        and (path.name in CONFIGURATION or is_script(path.name))
        and path.is_file()
        and path.stat().st_size < MAX_BYTES
    }


def is_script(name: str) -> bool:
    """Whether a file is one of TypeScript or JavaScript."""
    language = language_of(name)
    return language is not None and language.name in SCRIPTS


def places(text: str) -> Iterator[tuple[int, int]]:
    """Yield where names stand that are taken from elsewhere."""
    for found in LISTED.finditer(text):
        for part in PART.finditer(found["names"]):
            if part[0].strip():
                start = found.start("names") + part.start()
                yield start + len(part[0]) - len(part[0].lstrip()), start + len(part[0].rstrip())
    spaces = set(re.findall(r"\*\s*as\s+([\w$]+)\s+from\s*['\"]\.", text))
    for found in CHAIN.finditer(text):
        if found["owner"] in spaces:
            yield found.span("name")


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument(
        "--files", type=int, default=300, help="files of a repository that are read"
    )
    parser.add_argument("--show", action="store_true", help="print what is refused")
    options = parser.parse_args()
    counts, began = Counter[str](), time.process_time()
    for folder in options.folders:
        texts = texts_of(folder)
        index = DefinitionIndex()
        for path, text in texts.items():
            index.put(path, text)
        scripts = sorted(path for path in texts if is_script(path))
        chosen = random.Random(0).sample(scripts, min(options.files, len(scripts)))
        for path in chosen:
            text = texts[path]
            for start, end in places(text):
                prefix, name, suffix = text[:start], text[start:end], text[end:]
                found = missing_name(index, path, prefix, name, suffix)
                counts["names"] += 1
                counts["refused"] += found is not None
                if found is not None and options.show:
                    print(folder.name, path, found)
                wrong = f"{name}Q7"
                counts["wrong ones refused"] += (
                    missing_name(index, path, prefix, wrong, suffix) is not None
                )
        counts["files"] += len(chosen)
    print(json.dumps({**counts, "cpu_s": round(time.process_time() - began, 1)}))


if __name__ == "__main__":
    main()

"""The .vsix holds what runs and nothing else."""

import json
import re
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.vscode

LARGEST_BYTES = 25_000_000
"""The server's wheel carries the tuned weights of `mini`, 19 MB."""
LARGEST_START_BYTES = 60_000
"""Without the protocol's library, which is read later."""
FILES = {
    "[Content_Types].xml",
    "extension.vsixmanifest",
    "extension/LICENSE.txt",
    "extension/changelog.md",
    "extension/package.json",
    "extension/readme.md",
    "extension/dist/extension.js",
    "extension/dist/library.js",
    "extension/server/constraints.txt",
}


def test_the_vsix_holds_what_runs_alone(vsix: Path) -> None:
    assert vsix.stat().st_size < LARGEST_BYTES
    with zipfile.ZipFile(vsix) as archive:
        names = set(archive.namelist())
        for name in ("extension", "library"):
            assert b"sourceMappingURL" not in archive.read(f"extension/dist/{name}.js")
        # VS Code waits for this one to be read, in every window.
        assert archive.getinfo("extension/dist/extension.js").file_size < LARGEST_START_BYTES
    rest = {name for name in names - FILES if not name.startswith("extension/media/")}
    assert names >= FILES
    assert [re.sub(r"-[\d.]+-", "-", name) for name in rest] == [
        "extension/server/longllama_code_lsp-py3-none-any.whl"
    ]


def test_the_manifest_points_at_files_that_are_there(vsix: Path) -> None:
    with zipfile.ZipFile(vsix) as archive:
        manifest = json.loads(archive.read("extension/package.json"))
        names = set(archive.namelist())
    containers = manifest["contributes"]["viewsContainers"]["activitybar"]
    steps = manifest["contributes"]["walkthroughs"][0]["steps"]
    wanted = {manifest["main"], manifest["icon"], *(one["icon"] for one in containers)}
    wanted |= {step["media"]["markdown"] for step in steps}
    assert {f"extension/{name.removeprefix('./')}" for name in wanted} <= names

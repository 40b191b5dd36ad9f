"""The .vsix holds what runs and nothing else."""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.vscode.materials import EXTENSION

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


PROJECT = "https://github.com/example/project"
CATEGORIES = {"AI", "Chat", "Machine Learning", "Programming Languages", "Snippets", "Other"}
"""Categories of the marketplaces that an extension like this one may have."""


def packed(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Pack what is built already, as a publisher does; nothing of the work tree is changed."""
    for name in ("package.json", "README.md", "CHANGELOG.md", "LICENSE", ".vscodeignore"):
        shutil.copy(EXTENSION / name, folder / name)
    for name in ("dist", "media", "server", "scripts"):
        shutil.copytree(EXTENSION / name, folder / name)
    (folder / "node_modules").symlink_to(EXTENSION / "node_modules")
    return subprocess.run(
        ["node", "scripts/package.mjs"],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("repository", [None, PROJECT])
def test_the_packer_has_nothing_to_warn_of(
    vsix: Path, tmp_path: Path, repository: str | None
) -> None:
    done = packed(tmp_path, **({"REPOSITORY": repository} if repository else {}))
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "DONE  Packaged" in said
    assert not re.search(r"\b(?:WARN(?:ING)?|ERROR)\b", said), said


def test_who_publishes_names_the_project_and_the_readme_has_its_pictures(
    vsix: Path, tmp_path: Path
) -> None:
    assert packed(tmp_path, REPOSITORY=PROJECT).returncode == 0
    with zipfile.ZipFile(tmp_path / "dist" / "longllama-code.vsix") as archive:
        manifest = json.loads(archive.read("extension/package.json"))
        readme = archive.read("extension/readme.md").decode()
    assert manifest["repository"]["url"] == f"{PROJECT}.git"
    assert manifest["bugs"]["url"] == f"{PROJECT}/issues"
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme)
    assert len(pictures) >= 2
    base = f"{PROJECT}/raw/HEAD/editor-client/vscode/"
    for picture in pictures:
        assert picture.startswith(base)
        assert (EXTENSION / picture.removeprefix(base)).resolve().is_file()


def test_without_a_project_the_readme_has_no_broken_picture(vsix: Path) -> None:
    with zipfile.ZipFile(vsix) as archive:
        assert "![" not in archive.read("extension/readme.md").decode()


def test_the_manifest_has_what_both_marketplaces_show() -> None:
    manifest = json.loads((EXTENSION / "package.json").read_text("utf-8"))
    assert manifest["galleryBanner"]["theme"] == "dark"
    assert re.fullmatch(r"#[0-9a-f]{6}", manifest["galleryBanner"]["color"])
    assert set(manifest["categories"]) <= CATEGORIES
    assert 5 <= len(manifest["keywords"]) <= 30  # the Visual Studio Marketplace refuses more
    assert manifest["license"] == "Apache-2.0"
    assert len(manifest["description"]) <= 200
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", manifest["publisher"])
    icon = (EXTENSION / manifest["icon"]).read_bytes()
    assert icon[:8] == b"\x89PNG\r\n\x1a\n"
    assert min(struct.unpack(">II", icon[16:24])) >= 128
    changes = (EXTENSION / "CHANGELOG.md").read_text("utf-8")
    assert re.search(r"^## 0\.2\.0", changes, re.MULTILINE)


@pytest.mark.workbench
def test_a_fresh_clone_is_packed_by_the_documented_command(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "quick-start" / "vscode.md").read_text("utf-8")
    command = "cd editor-client/vscode && npm ci && npm run package"
    assert f"\n{command}\n" in page
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True, timeout=300)
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(
        command,
        shell=True,
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (clone / "editor-client" / "vscode" / "dist" / "longllama-code.vsix").is_file()
    assert not re.search(r"\bWARN(?:ING)?\b", done.stdout + done.stderr)

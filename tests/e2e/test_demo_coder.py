"""The demo with the default model: five of five right, and none of them from the file alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from longllama_code.model_sources import catalog
from lsp_server.demo.sample import RENAMING, sample_places

MODEL = "coder-0.5b"
DEADLINE_S = 3600
"""For a machine that does other work; the prompts are some four thousand tokens in all."""

pytestmark = pytest.mark.coder


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the demo printed."""
    catalog.pull(MODEL)
    cache: Path = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "lsp_server", "demo", "--model", MODEL]
    done = subprocess.run(
        [*command, "--cache-dir", str(cache)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=DEADLINE_S,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_lines_are_right_with_the_project_and_none_from_the_file_alone(shown: str) -> None:
    n_places = len(sample_places())
    assert f"with the project: {n_places} of {n_places} right" in shown
    assert f"the file alone: 0 of {n_places} right" in shown


def test_each_suggestion_names_the_definition_that_it_drew_on(shown: str) -> None:
    for place in sample_places():
        start = shown.index(f"{place.file}:{place.line}")
        drawn = shown[shown.index("drawn from", start) :].split("\n")[0]
        assert ".py:" in drawn
        assert place.file not in drawn


def test_the_suggestion_follows_the_edit_on_disk(shown: str) -> None:
    edited = shown[shown.index("is edited on disk") :]
    expected = RENAMING.after(sample_places()[-1]).expected
    assert f"⟦{expected}⟧" in edited
    assert "after the edit        " in edited

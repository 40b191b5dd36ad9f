"""Folders of this repository that tests read."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
GOLDEN = ROOT / "tests" / "model" / "golden"

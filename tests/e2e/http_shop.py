"""A small workspace folder with shapes, and what a server over HTTP is asked about it."""

import json
from pathlib import Path

from tests.paths import ROOT

SHAPES = '''"""Shapes of all kinds."""

import math


class Rectangle:
    def __init__(self, width, height):
        self.width = width
        self.height = height

    def area(self):
        return self.width * self.height


def perimeter_of(rectangle):
    return 2 * (rectangle.width + rectangle.height)


def circumference_of(circle):
    return 2 * math.pi * circle.radius


def radius_of_circle_with(circumference):
    return circumference / (2 * math.pi)
'''
REST = "self.width * self.height"
AT = SHAPES.index(REST)
WINDOW = SHAPES.index("    def __init__"), SHAPES.index("\n\ndef radius_of")
"""The part of the file that a request sends."""
ANSWERS = [
    {"text": "in_shapes()", "path": "shapes.py"},
    {"text": "in_circles()", "path": "lib/circles.py"},
    {"text": "anywhere()", "path": "untitled"},
    {"text": "elsewhere()"},
]
RECORDED = json.loads((ROOT / "tests" / "data" / "llama_server.json").read_text("utf-8"))
"""Responses of llama.cpp's server, build b1-0c1e570, with the default model."""


def write_shop(root: Path) -> Path:
    (root / "lib").mkdir(parents=True)
    (root / "shapes.py").write_text(SHAPES)
    (root / "lib" / "circles.py").write_text("import math\n\n\ndef f(x):\n    return x\n")
    return root


def window(typed: str = "") -> tuple[str, str]:
    """A part of the file around a cursor whose line is not finished, as editors send it."""
    return SHAPES[WINDOW[0] : AT] + typed, SHAPES[AT + len(REST) : WINDOW[1]] + "\n"

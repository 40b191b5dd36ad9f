"""Text of a small benchmark in the rebuilt form of CrossCodeEval: two files, two answers."""

import json

USES = """from shapes import Square

def measure(side):
    square = Square(side)
    area = square.area_in_metres()
    edge = square.edge_in_metres()
    return area, edge
"""
SHAPES = """class Square:
    def __init__(self, side):
        self.side = side

    def area_in_metres(self):
        return self.side**2

    def edge_in_metres(self):
        return self.side
"""
ANSWERS = ("square.area_in_metres()", "square.edge_in_metres()")


def row_of(text, answer, **fields):
    return {
        "instance_id": f"python/{answer[:14]}",
        "source": "someone/shapes",
        "repository": "someone-shapes-1234567",
        "commit": "1234567",
        "file": "uses.py",
        "offset": text.index(answer),
        "length": len(answer),
        "ground_truth": answer,
        **fields,
    }


def write_benchmark(folder):
    """Write the benchmark to a new folder, and return it."""
    tree = folder / "repos" / "someone-shapes-1234567"
    tree.mkdir(parents=True)
    (tree / "uses.py").write_text(USES)
    (tree / "shapes.py").write_text(SHAPES)
    marks = ({"published_3b": True, "published_14b": True}, {"published_3b": None})
    rows = [row_of(USES, answer, **mark) for answer, mark in zip(ANSWERS, marks, strict=True)]
    (folder / "instances.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder

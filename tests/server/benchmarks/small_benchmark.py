"""Text of a small benchmark in the rebuilt form of CrossCodeEval: two files, two answers."""

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

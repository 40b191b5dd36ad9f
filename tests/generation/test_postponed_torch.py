"""A part of torch that is imported late: only if something needs it, and then whole."""

import subprocess
import sys

import pytest

CODE = """
import sys
from longllama_code.generation import postponed_torch
postponed_torch.postpone()
postponed_torch.postpone()
import torch
part = sys.modules[postponed_torch.PART]
assert "torch._decomp" not in sys.modules
assert torch.ones(3).cumsum(0).tolist() == [1, 2, 3]
assert not hasattr(part, "__wrapped__") and part.__name__ == postponed_torch.PART
assert "torch._decomp" not in sys.modules
{}
assert sys.modules[postponed_torch.PART] is part is torch._meta_registrations
assert "torch._decomp" in sys.modules and callable(part.register_meta)
assert torch.linalg.cross(*torch.ones(2, 4, 3, device="meta")).shape == (4, 3)
"""
WAYS = {
    "told to": "postponed_torch.complete()",
    "asked for a name": "torch._meta_registrations.register_meta",
    "asked for a name by an import": "from torch._meta_registrations import register_meta",
    "importing the definitions": "import torch._decomp",
    "compiling": "torch.compile(lambda x: x + 1, backend='eager')(torch.ones(2))",
}


def run(code: str) -> None:
    """Run code in an interpreter of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_part_is_whole_once_it_is_needed(way: str) -> None:
    run(CODE.format(way))


def test_torch_is_imported_whole_if_it_was_completed_before() -> None:
    run(
        "import sys; from longllama_code.generation import postponed_torch as postponed\n"
        "postponed.postpone(); postponed.complete()\n"
        "import torch\n"
        "assert type(sys.modules[postponed.PART]) is type(sys) and 'torch._decomp' in sys.modules"
    )


def test_nothing_happens_to_torch_that_was_imported_before() -> None:
    run(
        "import sys, torch; from longllama_code.generation import postponed_torch as postponed\n"
        "finders = [*sys.meta_path]\n"
        "postponed.postpone()\n"
        "assert sys.meta_path == finders"
    )

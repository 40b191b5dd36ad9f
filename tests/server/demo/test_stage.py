"""The servers of the demo: what they leave out of memory."""

import os
from pathlib import Path

import pytest

from longllama_code.source_files.ignore import IgnoreRules
from lsp_server.demo.stage import pattern_of

ODD = (
    "app/[id]/page.py",
    "a*b.py",
    "what?.py",
    "!important.py",
    "#1.py",
    "a b.py",
    "end ",
    *(["x\\y.py"] if os.sep == "/" else []),
)


@pytest.mark.parametrize("file", ["shop/orders/order.py", *ODD])
def test_a_file_is_left_out_and_no_other(tmp_path: Path, file: str) -> None:
    rules = IgnoreRules(tmp_path, exclude=(pattern_of(file),))
    assert rules.ignores(tmp_path / file)
    others = (f"other/{file}", "app/i/page.py", "aab.py", "whatx.py", "important.py", "1.py")
    assert not any(rules.ignores(tmp_path / other) for other in others)

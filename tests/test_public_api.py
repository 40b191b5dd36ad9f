"""The public API: what ``longllama_code`` itself offers to Python users."""

import re
import subprocess
import sys

import pytest

import longllama_code
from tests.paths import ROOT

PAGE = ROOT / "docs" / "python.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def run(code: str) -> str:
    """Run code in an interpreter of its own; its output, without the last newline."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


def test_importing_the_package_imports_no_torch():
    code = "import longllama_code, sys; dir(longllama_code); print('torch' in sys.modules)"
    assert run(code) == "False"


def test_requests_options_and_errors_need_no_torch():
    names = "CompletionRequest, CompletionResult, EngineOptions, LongLlamaError"
    code = f"from longllama_code import {names}; import sys; print('torch' in sys.modules)"
    assert run(code) == "False"


def test_importing_the_model_registers_it_with_transformers():
    code = (
        "from longllama_code import LongLlamaConfig, LongLlamaForCausalLM, LongLlamaModel\n"
        "from transformers import AutoConfig, AutoModel, AutoModelForCausalLM\n"
        "config = AutoConfig.for_model('longllama', vocab_size=8, hidden_size=8,\n"
        "    intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,\n"
        "    bos_token_id=None, eos_token_id=None)\n"
        "assert type(config) is LongLlamaConfig\n"
        "assert type(AutoModel.from_config(config)) is LongLlamaModel\n"
        "assert type(AutoModelForCausalLM.from_config(config)) is LongLlamaForCausalLM\n"
    )
    assert run(code) == ""


@pytest.mark.parametrize("name", longllama_code.__all__)
def test_every_public_name_exists_and_is_documented(name):
    assert getattr(longllama_code, name) is not None
    assert name in dir(longllama_code)
    assert name.startswith("__") or f"`{name}`" in PAGE.read_text("utf-8")


def test_an_unknown_name_is_refused_with_those_that_exist():
    with pytest.raises(AttributeError, match=r"no attribute 'Motor'; it has .*'Engine'"):
        _ = longllama_code.Motor


@pytest.mark.parametrize("code", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_of_the_page_run(code):
    run(code)

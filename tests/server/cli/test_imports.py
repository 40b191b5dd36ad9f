"""The command line starts fast: it imports what its command needs, and no more."""

import subprocess
import sys

from tests.deadline import DEADLINE_S

UNWANTED = (
    "httpx2",
    "longllama_code.generation",
    "lsp_server.benchmarks",
    "matplotlib",
    "numpy",
    "starlette",
    "tokenizers",
    "torch",
    "uvicorn",
)


def loaded_by(code):
    code = f"{code}; import sys; print({set(UNWANTED)} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_the_command_line_loads_neither_benchmarks_nor_what_they_need():
    assert loaded_by("import lsp_server.cli.main") == "set()"


def test_a_server_of_lsp_loads_nothing_of_http():
    found = loaded_by("import lsp_server.transports")
    assert "httpx2" not in found
    assert "starlette" not in found
    assert "uvicorn" not in found


def test_a_command_does_not_load_the_benchmarks():
    code = "import contextlib; from lsp_server.cli.main import main"
    code += "\nwith contextlib.suppress(SystemExit): main(['status', '--help'])\nimport sys"
    assert loaded_by(code) == "set()"


def test_the_help_of_a_benchmark_loads_no_model_and_no_plots():
    code = "import contextlib; from lsp_server.cli.main import main"
    code += (
        "\nwith contextlib.suppress(SystemExit): main(['bench', 'typing', '--help'])\nimport sys"
    )
    found = loaded_by(code)
    assert "lsp_server.benchmarks" in found
    assert "torch" not in found
    assert "matplotlib" not in found

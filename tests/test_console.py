"""What both command lines share, in real processes with pipes of any encoding."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.console import port_number, read_text

DEADLINE_S = 60
ENCODINGS = ["ascii", "cp1252", "latin-1", "cp437", "utf-8"]
PRINT = """
import sys
from longllama_code.console import run_command

def run():
    print(ascii_free := eval(sys.argv[1]))
    print(ascii_free, file=sys.stderr)
    return 3

sys.exit(run_command("program", run, (ValueError,)))
"""


def run(
    code: str, *arguments: str, encoding: str = "utf-8"
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        timeout=DEADLINE_S,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_any_text_can_be_printed_to_a_pipe_of_any_encoding(encoding: str) -> None:
    text = "a → b ── █░ ⟦x⟧ … é 中 \N{GRINNING FACE} \udcff \ud83d"
    done = run(PRINT, ascii(text), encoding=encoding)
    assert done.returncode == 3, done.stderr
    printed = done.stdout.decode(encoding)
    assert printed == done.stderr.decode(encoding)
    assert printed.rstrip().endswith(r"\udcff \ud83d")
    if encoding == "ascii":
        assert printed.startswith(r"a -> b -- #- [[x]] ... \xe9 \u4e2d \U0001f600 ")
    if encoding == "utf-8":
        assert printed.startswith("a → b ── █░ ⟦x⟧ … é 中 \N{GRINNING FACE} ")


def test_an_expected_error_is_one_line_in_any_encoding() -> None:
    code = PRINT.replace("return 3", "raise ValueError(f'{ascii_free} is wrong')")
    done = run(code, ascii("né→"), encoding="ascii")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, rb"program: n\xe9-> is wrong")
    assert b"Traceback" not in done.stderr


def test_a_reader_that_has_enough_is_no_error() -> None:
    code = PRINT.replace("return 3", "[print('x' * 1000) for _ in range(10_000)]; return 0")
    command = [sys.executable, "-c", code, "'x'"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        said = b"".join(iter(lambda: process.stderr.read(1000), b""))
        assert said in (b"", b"x\n")
        assert process.wait(DEADLINE_S) == 0


def test_a_pipe_of_another_process_that_breaks_is_an_error() -> None:
    code = PRINT.replace("return 3", "raise BrokenPipeError('the other process is gone')")
    done = run(code.replace("(ValueError,)", "()"), "'x'")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        b"program: the other process is gone",
    )


@pytest.mark.parametrize("text", ["-1", "65536", "99999", "1" * 5000, "x", "", "8 0", "٣", "1.5"])
def test_a_number_that_is_no_port(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no port; give a number from 0 to"):
        port_number(text)


@given(st.integers(0, 65_535))
def test_a_port(port: int) -> None:
    assert port_number(str(port)) == port


def test_a_text_file_of_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "old.py"
    path.write_bytes("name = 'é'\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"old\.py is not encoded in UTF-8 \(byte 8 is 0xe9\)"):
        read_text(path)
    path.write_bytes(b"\xef\xbb\xbfname = 1\n")
    assert read_text(path) == "name = 1\n"

"""The commands of `longllama-lsp`, as a shell runs them."""

import json
import os
import subprocess
import sys

import pytest

from lsp_server import __version__
from lsp_server.cli.complete import parse_cursor
from lsp_server.cli.main import main
from tests.deadline import DEADLINE_S

LIB = "def frobnicate(left, right):\n    return left * 31 + right\n"


def run(*arguments, output="utf-8", **env):
    return subprocess.run(
        [sys.executable, "-m", "lsp_server", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
        encoding=output,
        env={**os.environ, "PYTHONIOENCODING": output, **env},
    )


@pytest.fixture
def options(root, tmp_path):
    (root / "lib.py").write_text(LIB)
    (root / ".env").write_text("TOKEN=1\n")
    return ["--root", root, "--model", "tiny", "--cache-dir", tmp_path / "cache"]


@pytest.fixture
def scripted_options(options, settings):
    """The same, with an engine that answers from a script."""
    return [settings["model"]["path"] if option == "tiny" else option for option in options]


def test_status(options):
    done = run("status", "--json", *options)
    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout)
    assert (status["phase"], status["engine"]["model"]) == ("ready", "tiny")
    assert status["languages"] == {"*": True}
    files = status["files"]
    assert (files["in_memory"], files["left_out"], files["tokens"]) == (1, 1, len(LIB))
    assert (files["segments_encoded"], files["segments_loaded"]) == (1, 0)

    again = run("status", *options)
    assert again.returncode == 0, again.stderr
    lines = again.stdout.splitlines()
    assert lines[0] == "ready: the repository is in memory"
    assert f"memory    1 files, {len(LIB)} tokens, 0.0 MB" in lines
    assert "segments  0 encoded, 1 from disk" in lines


def test_complete(scripted_options, root):
    cursor = f"{root / 'lib.py'}:2:12"
    as_json = run("complete", cursor, "--json", *scripted_options)
    assert as_json.returncode == 0, as_json.stderr
    answer = json.loads(as_json.stdout)
    assert answer["text"]
    assert (answer["reason"], answer["stopReason"] is not None) == (None, True)
    assert answer["timings"]["generated_tokens"] > 0
    plain = run("complete", cursor, *scripted_options)
    assert plain.returncode == 0, plain.stderr
    assert answer["text"] in plain.stdout


def test_whoever_asks_once_waits_for_a_slow_machine(options, root, tmp_path):
    """Longer than an editor does while somebody types."""
    script = tmp_path / "slow.json"
    script.write_text('{"answers": [{"before": "", "text": "slowly", "delay_ms": 10500}]}')
    slow = [f"script:{script}" if option == "tiny" else option for option in options]
    done = run("complete", f"{root / 'lib.py'}:2:12", *slow)
    assert done.returncode == 0, done.stderr
    assert "slowly" in done.stdout


def test_explain(scripted_options, root):
    cursor = f"{root / 'lib.py'}:2:12"
    done = run("explain", cursor, *scripted_options)
    assert done.returncode == 0, done.stderr
    assert "── " in done.stdout
    assert "of the file itself, it was shown lines" in done.stdout
    assert "it ended with: line" in done.stdout
    as_json = run("explain", cursor, "--json", *scripted_options)
    answer = json.loads(as_json.stdout)
    assert answer["text"]
    assert (answer["reason"], answer["definitions"]) == (None, [])
    assert answer["timings"]["generated_tokens"] > 0


def test_a_model_that_is_not_there(options, root, tmp_path):
    broken = [option if option != "tiny" else "mini" for option in options]
    done = run("complete", f"{root / 'lib.py'}:1:1", *broken, LONGLLAMA_CACHE=str(tmp_path / "no"))
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("longllama-lsp: ")
    assert "longllama pull mini" in line


def test_diagnose(options, root):
    (root / "pyproject.toml").write_text('[tool.longllama]\nmodel.path = "elsewhere"\n')
    done = run("diagnose", "--json", *options)
    assert done.returncode == 0, done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert checks["torch"]["state"] == checks["model"]["state"] == "ok"
    assert checks["model"]["found"].startswith("tiny: built in memory")
    assert "pyproject.toml may not set it" in checks["settings"]["found"]
    broken = [option if option != "tiny" else "/no/such/model" for option in options]
    done = run("diagnose", *broken)
    assert done.returncode == 1
    assert "error   model          /no/such/model" in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_output_to_a_pipe_of_an_old_encoding(encoding, scripted_options, root, tmp_path):
    script = tmp_path / "answers.json"
    script.write_text('{"answers": [{"text": "caf\\u00e9 \\u2192 \\ud83d\\ude00"}]}')
    options = [
        f"script:{script}" if str(each).startswith("script:") else each for each in scripted_options
    ]
    cursor = f"{root / 'lib.py'}:2:12"
    accent = "é" if encoding == "cp1252" else r"\xe9"
    for command in (["complete", cursor], ["explain", cursor], ["demo", cursor]):
        done = run(*command, *options, output=encoding)
        assert done.returncode == 0, done.stderr
        assert rf"caf{accent} -> \U0001f600" in done.stdout
    done = run("diagnose", *options, "--cache-dir", script / "no folder", output=encoding)
    assert (done.returncode, done.stderr) == (1, "")
    assert "-> " in done.stdout


def test_what_the_server_says_is_printed_once(scripted_options, root):
    (root / "pyproject.toml").write_text('[tool.longllama]\nmodel.path = "elsewhere"\n')
    done = run("status", "--json", *scripted_options)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "model.path" in line]
    assert len(said) == 1
    assert said[0].startswith('longllama-lsp: setting longllama.model.path is "elsewhere": ')


def test_options_may_stand_before_the_command(scripted_options, root):
    done = run(*scripted_options[2:], "complete", f"{root / 'lib.py'}:2:12", *scripted_options[:2])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_a_file_of_another_encoding_is_named_before_anything_is_indexed(root, capsys):
    file = root / "old.py"
    file.write_bytes("name = 'é'\n".encode("latin-1"))
    for command in ("complete", "explain"):
        assert main([command, f"{file}:1:1", "--root", str(root), "--model", "/no/such"]) == 1
        assert f"longllama-lsp: {file} is not encoded in UTF-8" in capsys.readouterr().err


def test_a_cursor_behind_the_end_is_moved_to_it(scripted_options, root):
    done = run("explain", f"{root / 'lib.py'}:99:99", *scripted_options)
    assert done.returncode == 0, done.stderr
    assert "lib.py:3 ──" in done.stdout


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"longllama-lsp {__version__}\n"


@pytest.mark.parametrize("cursor", ["a.py", "a.py:1", "a.py:x:1", "a.py:0:1", "a.py:1:0", ":1:1"])
def test_a_cursor_of_another_form(cursor, capsys):
    assert main(["complete", cursor]) == 1
    message = f"longllama-lsp: {cursor!r} is no cursor; write FILE:LINE:COL, counting from 1.\n"
    assert capsys.readouterr().err == message


def test_a_cursor_in_no_file(capsys):
    assert main(["complete", "/nowhere/a.py:1:1"]) == 1
    assert capsys.readouterr().err == "longllama-lsp: '/nowhere/a.py' is no file.\n"


def test_a_cursor_counts_from_one(tmp_path):
    file = tmp_path / "with:colon.py"
    file.touch()
    assert parse_cursor(f"{file}:3:7") == (file, (2, 6))


def test_a_root_that_is_no_folder(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["status", "--root", "/nowhere"])
    assert caught.value.code == 2
    assert "'/nowhere' is no folder" in capsys.readouterr().err

"""Every command of the documents is run, read by its parser, or left out for a reason.

A command is a line of a block that is marked `sh`. Those of the server are run as they stand, in a
project of this test and with the model `tiny`.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli as tomllib

from longllama_code.__main__ import _parser as longllama_parser
from lsp_server.cli.main import _parser as server_parser
from tests.paths import ROOT

PAGES = sorted(
    {
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "editor-client").glob("*.md"),
        *(ROOT / "longllama_code" / "data").glob("*.md"),
    }
)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = (
    "longllama|longllama-lsp|pip|uv|uvx|pipx|make|npm|cd|git|python3?|curl|code|hx|unshare|cmake"
    r"|\.venv/bin/\w+"
)
IS_COMMAND = re.compile(rf"(?:\$ )?(?:{PROGRAMS})(?: |$)")
TIMEOUT_S = 600

RUN = re.compile(
    r"longllama-lsp (?:complete|explain|status|diagnose|cache|stats|demo --root)\b.*"
    r"|longllama models\b.*|unshare .*"
)
PARSED = re.compile(
    r"longllama (?:pull|probe|eval|copying|table|passkey|sizes|published|train|shards|tune|held-out"
    r"|merge|cluster)\b.*|longllama-lsp (?:demo|bench|serve|record|replay)\b.*"
)
"""They take hours, a network or a cluster; tests of their own run each on little."""
MAKE = re.compile(r"make (\w+)(?: .*)?")
POE = re.compile(r"\.venv/bin/poe (\w+)")
PYTEST = re.compile(r"\.venv/bin/pytest .*")
EXTRAS = re.compile(r"pip install .*'(?:\.|longllama-code-lsp)\[(.+)\]'")
ELSEWHERE = {
    "uv tool install --excludes without-engine.txt longllama-code-lsp": "tests/test_wheel.py",
    "cd editor-client/vscode && npm ci && npm run package": "tests/vscode/test_package.py",
}
LEFT_OUT = {
    r"pip install -c constraints\.txt \.": "asks a package index; the workflow does it by make",
    r"code --install-extension .*": "needs VS Code; tests/vscode installs the file in code-server",
    r"hx --health .*": "needs Helix; tests/e2e/test_helix.py runs it by its keys",
    r"git clone https://.* && cd .*": "fetches another project",
    r"cmake .*": "builds another project",
    r"curl localhost:.*": "asks a running server, as tests/e2e/test_http.py does",
}


def commands(text: str) -> Iterator[str]:
    """The commands of a page, without their comments."""
    for language, body in BLOCK.findall(text):
        if language != "sh":
            continue
        for line in body.replace("\\\n", " ").splitlines():
            if command := re.sub(r"(?:^|\s+)# .*", "", line).strip():
                yield re.sub(r"\s+", " ", command)


def all_commands() -> list[str]:
    """The commands of all pages, each once."""
    return sorted({command for page in PAGES for command in commands(page.read_text("utf-8"))})


def left_out(command: str) -> bool:
    return any(re.fullmatch(pattern, command) for pattern in LEFT_OUT)


def chosen(pattern: re.Pattern[str]) -> list[str]:
    return [
        command
        for command in all_commands()
        if pattern.fullmatch(command) and not (pattern is PARSED and RUN.fullmatch(command))
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_of_commands_are_marked(page: Path) -> None:
    unmarked = [
        body
        for language, body in BLOCK.findall(page.read_text("utf-8"))
        if language in ("", "console", "bash", "shell") and IS_COMMAND.match(body)
    ]
    assert unmarked == []


def test_each_command_is_run_read_or_left_out_for_a_reason() -> None:
    rules = (RUN, PARSED, MAKE, POE, PYTEST, EXTRAS)
    unknown = [
        command
        for command in all_commands()
        if not any(rule.fullmatch(command) for rule in rules)
        and command not in ELSEWHERE
        and not left_out(command)
    ]
    assert len(all_commands()) > 40
    assert unknown == []


def test_no_reason_is_left_of_a_command_that_is_gone() -> None:
    found = all_commands()
    assert [command for command in ELSEWHERE if command not in found] == []
    unused = [
        pattern for pattern in LEFT_OUT if not any(re.fullmatch(pattern, one) for one in found)
    ]
    assert unused == []


def test_what_another_test_runs_is_in_it() -> None:
    for command, path in ELSEWHERE.items():
        assert command in (ROOT / path).read_text("utf-8")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the projects that the documents name."""
    home = tmp_path_factory.mktemp("home")
    source = home / "src" / "app" / "src"
    source.mkdir(parents=True)
    (source.parent / ".git").mkdir()
    (source / "shapes.py").write_text(
        "class Shape:\n    def area_in_metres(self) -> float:\n        return 1.0\n"
    )
    uses = ["def shown(shape: Shape) -> float:", "    return shape.area_in_metres()", ""]
    lines = ["from shapes import Shape", *(f"SIZE_{number} = {number}" for number in range(118))]
    (source / "app.py").write_text("\n".join([*lines, *uses]))
    for name in ("a", "b"):
        (home / "src" / name).mkdir()
    return home


@pytest.fixture
def environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Variables of a shell in that home, with this environment's programs."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for name, value in {"HOME": home, "LONGLLAMA_CACHE": home / "cache", "PATH": programs}.items():
        monkeypatch.setenv(name, str(value))
    return dict(os.environ)


@pytest.mark.skipif(os.name != "posix", reason="the documents' commands are those of a shell")
@pytest.mark.parametrize("command", chosen(RUN))
def test_the_command_runs(command: str, home: Path, environment: dict[str, str]) -> None:
    if command.startswith("unshare"):
        tried = ["unshare", "--net", "--map-root-user", "true"]
        if shutil.which("unshare") is None or subprocess.run(tried, capture_output=True).returncode:
            pytest.skip("this system lets nobody but root make namespaces")
    takes_model = re.match(r"longllama-lsp (?:complete|explain|status|diagnose|demo)\b", command)
    shell = f"{command} --model tiny" if takes_model else command
    done = subprocess.run(
        ["sh", "-c", shell],
        cwd=home / "src" / "app",
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()
    if "--json" in command:
        assert json.loads(done.stdout) is not None


@pytest.mark.parametrize("command", chosen(PARSED))
def test_the_parser_knows_the_options(command: str, environment: dict[str, str]) -> None:
    program, *words = shlex.split(command)
    arguments = [os.path.expanduser(word) for word in words]  # noqa: PTH111 - as a shell does
    if program == "longllama":
        parser = longllama_parser()
    else:
        parser = server_parser(has_benchmarks="bench" in arguments)
    assert callable(parser.parse_args(arguments).run)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not on the PATH")
@pytest.mark.parametrize("command", chosen(MAKE))
def test_make_knows_the_target(command: str) -> None:
    words = ["make", "--dry-run", *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [*chosen(POE), *chosen(EXTRAS)])
def test_tasks_and_extras_are_declared(command: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    if task := POE.fullmatch(command):
        assert task[1] in project["tool"]["poe"]["tasks"]
    elif extras := EXTRAS.fullmatch(command):
        assert set(extras[1].split(",")) <= set(project["project"]["optional-dependencies"])


@pytest.mark.parametrize("command", chosen(PYTEST))
def test_paths_of_tests_are_there(command: str) -> None:
    paths = [word for word in shlex.split(command)[1:] if word.startswith("tests/")]
    assert all((ROOT / path).exists() for path in paths)


def test_a_command_that_nobody_knows_is_found() -> None:
    text = "```sh\nlongllama-lsp fly  # away\nlongllama eval \\\n    --lines 1\n```\n"
    assert list(commands(text)) == ["longllama-lsp fly", "longllama eval --lines 1"]
    assert not RUN.fullmatch("longllama-lsp fly")
    assert not PARSED.fullmatch("longllama-lsp fly")

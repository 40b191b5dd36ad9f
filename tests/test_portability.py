"""What only some systems have is used where docs/portability.md says, and there alone.

Text is read and written in a named encoding, and who waits on an event loop names the exception of
every Python.

The walk reads the code, so it runs anywhere; what it finds is tested by injection, in the tests
that the document names.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.portability_names import (
    CONDITIONS,
    KEYWORDS,
    METHODS,
    MODULES,
    OF_OS,
    OF_SELECT,
    OF_SIGNAL,
    OF_SOCKET,
    OF_TIME,
    SYSTEM_PATH,
)

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "portability.md"
OWNERS = "os", "select", "signal", "socket", "sys", "time"
"""Modules of whose names some are those of some systems."""
PACKAGES = "longllama_code", "lsp_server"


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield the path of each module of the two packages, and its tree."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if "/sample_project/" not in name:
                yield name, ast.parse(path.read_text("utf-8"), name)


def of_some_systems(tree: ast.AST) -> Iterator[str]:
    """Yield the name of each use of something that not every system has, or has alike."""
    for node in ast.walk(tree):
        yield from _of_node(node)


def _of_node(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [each.name for each in node.names]
        from_module = getattr(node, "module", None)
        roots = [from_module or "", *([] if from_module else names)]
        yield from (root for root in roots if root.split(".")[0] in MODULES)
        if from_module in OWNERS:
            yield from (name for one in names if (name := _name(from_module, one)))
    elif isinstance(node, ast.Attribute):
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        if name := _name(owner, node.attr):
            yield name
    elif isinstance(node, ast.keyword) and node.arg in KEYWORDS:
        yield node.arg
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    elif isinstance(node, ast.Constant) and SYSTEM_PATH.match(str(node.value)):
        yield str(node.value)


def _name(owner: str, attribute: str) -> str | None:
    found = (
        (owner == "os" and attribute in OF_OS)
        or (owner == "signal" and OF_SIGNAL.fullmatch(attribute) is not None)
        or (owner == "socket" and attribute in OF_SOCKET)
        or (owner == "select" and attribute in OF_SELECT)
        or (owner == "time" and attribute in OF_TIME)
        or (owner, attribute) in CONDITIONS
        or (owner not in ("os", "shutil") and attribute in METHODS)
    )
    if not found:
        return None
    return f"{owner}.{attribute}" if owner in OWNERS else attribute


def _of_call(node: ast.Call) -> Iterator[str]:
    """Yield what a call reaches by a text: an attribute's name, or the C library."""
    called = ast.unparse(node.func)
    texts = [each.value for each in node.args if isinstance(each, ast.Constant)]
    if called in ("getattr", "hasattr") and len(node.args) > 1:
        owner = ast.unparse(node.args[0])
        yield from (name for one in texts if isinstance(one, str) and (name := _name(owner, one)))
    if called.endswith("CDLL"):
        yield "ctypes.CDLL"


def listed() -> set[tuple[str, str]]:
    """Return file and name of each row of the document's tables."""
    rows = re.findall(r"^\| `([^`]+\.py)` \| ([^|]+) \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    return {(file, name) for file, names in rows for name in re.findall(r"`([^`]+)`", names)}


def test_what_some_systems_lack_is_used_where_the_document_says() -> None:
    found = {(file, name) for file, tree in modules() for name in of_some_systems(tree)}
    missing = sorted(found - listed())
    assert not missing, (
        f"not in docs/portability.md: {missing}. Take a portable form (psutil, platformdirs, "
        "filelock, pathlib), or list the place with what other systems do there, and its test."
    )
    assert not sorted(listed() - found), "docs/portability.md lists what is no longer used"


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import os\nos.getuid()", {"os.getuid"}),
        ("from os import getuid", {"os.getuid"}),
        ("import os\nos.path.join('a', 'b'); os.replace('a', 'b'); os.getpid()", set()),
        ("getattr(os, 'O_NOFOLLOW', 0)", {"os.O_NOFOLLOW"}),
        ("import fcntl", {"fcntl"}),
        ("from resource import getrusage", {"resource"}),
        ("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)", set()),
        ("signal.SIGKILL; getattr(signal, 'SIGHUP', None)", {"signal.SIGKILL", "signal.SIGHUP"}),
        ("socket.socket(socket.AF_UNIX)", {"socket.AF_UNIX"}),
        ("socket.socket(socket.AF_INET)", set()),
        ("loop.add_signal_handler(2, stop)", {"add_signal_handler"}),
        ("loop.add_reader(0, read)", {"add_reader"}),
        ("hasattr(select, 'poll'); select.select([], [], [])", {"select.poll"}),
        ("from time import tzset, sleep", {"time.tzset"}),
        ("os.open('a', 0, dir_fd=3)", {"dir_fd"}),
        ("asyncio.open_unix_connection(path)", {"open_unix_connection"}),
        ("subprocess.Popen(['a'], start_new_session=True)", {"start_new_session"}),
        ("(folder / 'x').chmod(0o600)", {"chmod"}),
        ("open('/proc/self/status')", {"/proc/self/status"}),
        ("'/process'; '/tmp'", {"/tmp"}),
        ("ctypes.CDLL(None)", {"ctypes.CDLL"}),
        ("sys.platform == 'linux'; os.name", {"sys.platform", "os.name"}),
    ],
)
def test_the_walk_finds_each_kind_of_use(code: str, names: set[str]) -> None:
    assert set(of_some_systems(ast.parse(code))) == names


def texts_without_encoding(tree: ast.AST) -> Iterator[int]:
    """Yield the line of each text file that is opened in whatever encoding the system has."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _opens_text(node):
            yield node.lineno


def _opens_text(node: ast.Call) -> bool:
    """Whether a call opens a text without naming its encoding, which is not UTF-8 everywhere."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
    keywords = {each.arg for each in node.keywords}
    if None in keywords or "encoding" in keywords:
        return False
    if name in ("read_text", "write_text"):
        return len(node.args) < (1 if name == "read_text" else 2)
    if name in ("fdopen", "open", "TemporaryFile", "NamedTemporaryFile"):
        return any(_is_text_mode(each) for each in _modes(node, name))
    if name in ("run", "Popen", "check_output"):
        return any(each.arg in ("text", "universal_newlines") for each in node.keywords)
    return False


def _modes(node: ast.Call, name: str) -> list[ast.expr]:
    """Return the modes that a call may name; of a bare ``open(path)``, the usual one."""
    named = [each.value for each in node.keywords if each.arg == "mode"]
    is_function = isinstance(node.func, ast.Name) or name == "fdopen"
    placed = node.args[1:2] if is_function else node.args[:1]
    if not named and not placed and isinstance(node.func, ast.Name):
        return [ast.Constant("r")]
    return named + placed


def _is_text_mode(mode: ast.expr) -> bool:
    is_text = isinstance(mode, ast.Constant) and isinstance(mode.value, str)
    return is_text and re.fullmatch(r"[rwax]\+?t?", mode.value) is not None


def test_every_text_has_a_named_encoding() -> None:
    found = [f"{file}:{line}" for file, tree in modules() for line in texts_without_encoding(tree)]
    assert not found, f"name an encoding, as Windows' own is not UTF-8: {found}"


@pytest.mark.parametrize(
    ("code", "is_found"),
    [
        ("path.read_text()", True),
        ("path.read_text('utf-8')", False),
        ("path.write_text(text)", True),
        ("path.write_text(text, encoding='utf-8')", False),
        ("open(path)", True),
        ("open(path, 'rb')", False),
        ("path.open('w')", True),
        ("path.open('wb')", False),
        ("os.fdopen(handle, 'w')", True),
        ("subprocess.run(['a'], text=True)", True),
        ("subprocess.run(['a'], text=True, encoding='utf-8')", False),
        ("subprocess.run(['a'])", False),
    ],
)
def test_the_walk_finds_texts_without_an_encoding(code: str, is_found: bool) -> None:
    assert bool([*texts_without_encoding(ast.parse(code))]) == is_found


def timeouts_of_later_pythons(tree: ast.AST) -> Iterator[int]:
    """Yield the line of each ``TimeoutError`` that is caught where asyncio raises its own.

    Up to Python 3.10 that is another exception, which passes.
    """
    nodes = [*ast.walk(tree)]
    if not any(isinstance(each, ast.Attribute) and each.attr == "wait_for" for each in nodes):
        return
    for node in nodes:
        caught = [node.type] if isinstance(node, ast.ExceptHandler) and node.type else []
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            caught += node.args
        names = [each for one in caught for each in ast.walk(one) if isinstance(each, ast.Name)]
        yield from (each.lineno for each in names if each.id == "TimeoutError")


def test_who_waits_on_an_event_loop_catches_what_every_python_raises() -> None:
    found = [
        f"{file}:{line}" for file, tree in modules() for line in timeouts_of_later_pythons(tree)
    ]
    assert not found, f"name asyncio.TimeoutError, which is another one in Python 3.10: {found}"


@pytest.mark.parametrize(
    ("code", "is_found"),
    [
        ("with suppress(TimeoutError): asyncio.wait_for(work, 1)", True),
        ("try: asyncio.wait_for(work, 1)\nexcept (OSError, TimeoutError): pass", True),
        ("with suppress(asyncio.TimeoutError): asyncio.wait_for(work, 1)", False),
        ("try: asyncio.wait_for(work, 1)\nexcept asyncio.TimeoutError: pass", False),
        ("with suppress(TimeoutError): search()", False),
    ],
)
def test_the_walk_finds_timeouts_of_later_pythons(code: str, is_found: bool) -> None:
    assert bool([*timeouts_of_later_pythons(ast.parse(code))]) == is_found

"""Secrets in texts: found by form and by assignment; ordinary code passes.

The secrets here are put together at run time, so that no scanner takes this file for one.
"""

import time

import pytest

from longllama_code.source_files.secret_scan import BLOCK_CHARS, Finding, find_secret
from tests.source_files.planted import BY_CONTENT

ORDINARY = [
    "password = os.environ['PASSWORD']",
    'password = getpass("Password: ")',
    'SECRET = "secret"',
    'api_key = "YOUR_API_KEY"',
    'api_key = "${API_KEY}"',
    'token = "<your token 1234>"',
    "secret: {{ vault.secret_1234 }}",
    'sha256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"',
    'uuid = "123e4567-e89b-12d3-a456-426614174000"',
    "def check_password(password: str) -> bool: ...",
    'url = "https://example.com/login"',
    "key = keys[0]",
]


@pytest.mark.parametrize("kind", BY_CONTENT)
def test_found(kind):
    found = find_secret("a.py", f"x = 1\ny = 2\n{BY_CONTENT[kind]}\nz = 3\n")
    assert found is not None
    assert found.line == 3


@pytest.mark.parametrize("line", ORDINARY)
def test_ordinary(line):
    assert find_secret("a.py", f"{line}\n") is None


def test_the_finding_does_not_hold_the_secret():
    secret = BY_CONTENT["github token"]
    assert secret not in repr(find_secret("a.py", secret))


def test_a_line_that_is_allowed():
    line = BY_CONTENT["github token"]
    assert find_secret("a.py", f"{line}  # pragma: allowlist secret\n") is None


def test_assignments_as_the_language_writes_them():
    value = "".join(["tr0ub4", "dor&3xK9"])
    assert find_secret("a.yaml", f"password: {value}\n") == Finding(
        "password or key assigned in code", 1
    )
    assert find_secret("a.py", f"password: {value}\n") is None
    assert find_secret("a.js", f'const password = "{value}";\n') is not None


@pytest.mark.parametrize("place", [0, BLOCK_CHARS - 20, BLOCK_CHARS, 10 * BLOCK_CHARS])
def test_found_wherever_it_stands(place):
    filler = "x = compute(y)  # nothing\n"
    n_lines = place // len(filler)
    text = f"{filler * n_lines}{BY_CONTENT['aws key']}\n{filler * 50}"
    found = find_secret("a.py", text)
    assert found is not None
    assert found.line == n_lines + 1


def test_half_a_megabyte_takes_a_moment():
    text = "result = client.fetch(url, password=settings.password, retries=3)\n" * 7_000
    find_secret("a.py", "")  # the import
    started = time.process_time()
    assert find_secret("a.py", text) is None
    assert time.process_time() - started < 20

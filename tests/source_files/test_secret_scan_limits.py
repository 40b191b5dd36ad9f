"""Texts that make a search for secrets long: it ends, and holds nothing else up."""

import base64
import threading
import time
from contextlib import suppress

import pytest

from longllama_code.source_files import secret_scan
from longllama_code.source_files.secret_scan import UnsearchedError, find_secret
from longllama_code.source_files.source_text import Exclusion, SourceError, refuse_secrets

N_CHARS = 500_000
QUADRATIC = ["eyJ", "eyJ-", "sk-", "://u", "https://", "http://u:p", "password", "'password'=", "'"]


@pytest.fixture(autouse=True)
def short_limit(monkeypatch):
    find_secret("a.py", "")  # the import
    monkeypatch.setattr(secret_scan, "LIMIT_S", 0.3)
    monkeypatch.setattr(secret_scan, "LIMIT_S_PER_CHAR", 0)


@pytest.mark.parametrize(("name", "line_chars"), [("a.py", N_CHARS), ("a.yaml", 900)])
@pytest.mark.parametrize("part", QUADRATIC)
def test_every_search_ends(part, line_chars, name):
    """Python's own expressions take minutes, some of them hours."""
    line = (part * (line_chars // len(part) + 1))[:line_chars]
    with suppress(UnsearchedError):
        assert find_secret(name, f"{line}\n" * (N_CHARS // line_chars)) is None


@pytest.mark.parametrize("part", ["eyJ", "eyJ-"])
def test_a_long_search_is_given_up_and_the_text_left_out(tmp_path, part):
    with pytest.raises(SourceError) as caught:
        refuse_secrets(tmp_path / "a.py", part * (N_CHARS // len(part)))
    assert caught.value.exclusion == Exclusion.UNSEARCHED


def test_other_threads_run_meanwhile(tmp_path):
    def search():
        with pytest.raises(SourceError):
            refuse_secrets(tmp_path / "a.py", "eyJ" * (N_CHARS // 3))

    searching = threading.Thread(target=search)
    searching.start()
    turns = 0
    while searching.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 10, "the search kept the interpreter's lock"


def test_a_token_that_nests_deeply_is_no_error(tmp_path):
    nested = base64.urlsafe_b64encode(b'{"a":' * 200_000).decode().rstrip("=")
    with pytest.raises(SourceError) as caught:
        refuse_secrets(tmp_path / "a.py", f"{nested}.{nested}.x")
    assert caught.value.exclusion == Exclusion.UNSEARCHED

"""Tokens: who is known, and what they may read."""

import json
from pathlib import Path

import pytest

from longllama_code.cluster.rights import ANYBODY, Rights, add_user, read_rights
from longllama_code.errors import ConfigError


def test_a_token_is_known_by_its_hash_alone(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    token = add_user(path, "ada", ["team/*"])
    assert token not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    user = read_rights(path).user_of(f"Bearer {token}")
    assert user is not None
    assert user.name == "ada"
    assert user.may_read("team/app")
    assert not user.may_read("other/app")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic {}", "{}"])
def test_who_has_no_token_is_nobody(tmp_path: Path, header: str | None) -> None:
    token = add_user(tmp_path / "tokens.json", "ada", ["*"])
    rights = read_rights(tmp_path / "tokens.json")
    assert rights.user_of(header.format(token) if header else header) is None


def test_a_new_token_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    old, other = add_user(path, "ada", ["a"]), add_user(path, "bob", ["b"])
    new = add_user(path, "ada", ["a", "c"])
    rights = read_rights(path)
    assert rights.user_of(f"Bearer {old}") is None
    found = [rights.user_of(f"Bearer {token}") for token in (new, other)]
    assert [user and user.name for user in found] == ["ada", "bob"]


def test_without_users_anybody_may_ask() -> None:
    assert Rights().user_of(None) is ANYBODY
    assert ANYBODY.may_read("anything/at/all")


@pytest.mark.parametrize(
    "content",
    [
        "no json",
        "[]",
        json.dumps({"users": []}),
        json.dumps({"users": [{"name": "ada", "token_sha256": "12", "repositories": []}]}),
        json.dumps({"users": [{"name": "ada", "token": "secret"}]}),
    ],
)
def test_a_file_that_says_no_rights_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match="longllama cluster token"):
        read_rights(path)

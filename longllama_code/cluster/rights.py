"""Users of a team's engine, their repositories, and the hashes of their tokens.

A token has 256 random bits, so its plain hash is safe to store. The file is JSON:
``{"users": [{"name": …, "token_sha256": …, "repositories": ["team/*", …]}]}``.
"""

import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from longllama_code.errors import ConfigError

TOKEN_BYTES = 32
TOKEN_PREFIX = "longllama_"
"""Prefix by which secret scanners recognise a leaked token."""


@dataclass(frozen=True)
class User:
    """A user of the engine."""

    name: str
    token_sha256: str
    repositories: list[str] = field(default_factory=list[str])
    """Names of readable repositories; ``*`` matches any characters."""

    def may_read(self, repository: str) -> bool:
        """Whether a repository's memory is theirs to see."""
        return any(fnmatchcase(repository, pattern) for pattern in self.repositories)


ANYBODY = User("anybody on this machine", "", ["*"])
"""User of an engine without tokens, which is possible on the loopback interface only."""


@dataclass(frozen=True)
class Rights:
    """All users; without any, everybody is allowed."""

    users: tuple[User, ...] = ()

    @classmethod
    def of(cls, plain: Any) -> "Rights":
        """Return rights from the result of ``to_plain``, or the content of a file.

        Raises:
            ConfigError: it has another form.
        """
        try:
            users = tuple(User(**user) for user in plain["users"])
            is_sound = all(len(bytes.fromhex(user.token_sha256)) == 32 for user in users)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"the tokens are not readable ({error}); {_REMEDY}") from error
        if not is_sound:
            raise ConfigError(f"a token's hash is no SHA-256; {_REMEDY}")
        return cls(users)

    def to_plain(self) -> dict[str, Any]:
        """Return the content of the file."""
        return {"users": [asdict(user) for user in self.users]}

    def user_of(self, authorization: str | None) -> User | None:
        """Return the user of a header ``Authorization: Bearer …``; None if unknown."""
        if not self.users:
            return ANYBODY
        kind, _, token = (authorization or "").partition(" ")
        hashed = _hash(token.strip())
        found = None
        for user in self.users:  # compare all, so that the time does not reveal the user
            if hmac.compare_digest(user.token_sha256, hashed):
                found = user
        return found if kind.lower() == "bearer" else None


_REMEDY = "make the file with `longllama cluster token`."


def read_rights(path: Path) -> Rights:
    """Return the rights in a file.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    try:
        plain = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"the tokens in {path} cannot be read ({error}); {_REMEDY}") from error
    rights = Rights.of(plain)
    if not rights.users:
        raise ConfigError(f"{path} names no user; {_REMEDY}")
    return rights


def add_user(path: Path, name: str, repositories: list[str]) -> str:
    """Give a user a new token, in place of the one that they had; it is in no file.

    Raises:
        ConfigError: the file is there, and cannot be read.
    """
    users = read_rights(path).users if path.exists() else ()
    token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    others = [user for user in users if user.name != name]
    rights = Rights((*others, User(name, _hash(token), repositories)))
    path.touch(mode=0o600)
    path.write_text(json.dumps(rights.to_plain(), indent=2) + "\n", "utf-8")
    return token


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

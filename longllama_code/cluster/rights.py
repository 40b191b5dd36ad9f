"""Who may ask a team's engine, and for which repositories: tokens, of which it knows the hashes.

A token is 256 random bits, so that a plain hash of it tells nobody the token. The file is JSON:
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
"""So that scanners of secrets find a token where it does not belong."""


@dataclass(frozen=True)
class User:
    """Somebody who may ask."""

    name: str
    token_sha256: str
    repositories: list[str] = field(default_factory=list[str])
    """Names of the repositories that they may read; ``*`` stands for any characters."""

    def may_read(self, repository: str) -> bool:
        """Whether a repository's memory is theirs to see."""
        return any(fnmatchcase(repository, pattern) for pattern in self.repositories)


ANYBODY = User("anybody on this machine", "", ["*"])
"""Who asks where no tokens are asked for, which is possible on the loopback interface alone."""


@dataclass(frozen=True)
class Rights:
    """Everybody who may ask; without users, anybody."""

    users: tuple[User, ...] = ()

    @classmethod
    def of(cls, plain: Any) -> "Rights":
        """Rights from what ``to_plain`` or a file says.

        Raises:
            ConfigError: it does not say who may read what.
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
        """As the file has them."""
        return {"users": [asdict(user) for user in self.users]}

    def user_of(self, authorization: str | None) -> User | None:
        """Who sent a header ``Authorization: Bearer …``; None for nobody who is known."""
        if not self.users:
            return ANYBODY
        kind, _, token = (authorization or "").partition(" ")
        hashed = _hash(token.strip())
        found = None
        for user in self.users:  # all of them, so that the time says nothing of who it was
            if hmac.compare_digest(user.token_sha256, hashed):
                found = user
        return found if kind.lower() == "bearer" else None


_REMEDY = "make the file with `longllama cluster token`."


def read_rights(path: Path) -> Rights:
    """The rights in a file.

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

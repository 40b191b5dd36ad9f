"""Hashes of passwords: scrypt, with a salt of each password's own."""

import hashlib
import hmac
import secrets

SALT_BYTES = 16
MIN_LENGTH = 10


def hash_password(password: str) -> str:
    """Return what is stored of a password."""
    salt = secrets.token_bytes(SALT_BYTES)
    return f"{salt.hex()}${_derived(password, salt).hex()}"


def is_password(password: str, stored: str) -> bool:
    """Whether a password is the one that was stored; takes as long either way."""
    salt, _, expected = stored.partition("$")
    return hmac.compare_digest(_derived(password, bytes.fromhex(salt)).hex(), expected)


def is_strong(password: str) -> bool:
    """Whether a password may be chosen."""
    return len(password) >= MIN_LENGTH and len(set(password)) > MIN_LENGTH // 2


def _derived(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**12, r=8, p=1)

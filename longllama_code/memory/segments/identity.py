"""Identity of a segment: a hash of everything that its encoding depends on.

It needs no model, so that a store can be examined without one.
"""

import hashlib

ENCODER_VERSION = 2
"""Increased whenever the same text would be encoded differently, so old segments are not read."""


def segment_id(fingerprint: str, header: str, text: str) -> str:
    """Return the id of a segment's encoding; equal ids mean equal keys and values.

    Args:
        fingerprint: fingerprint of the model.
        header: line that names the segment's file, see ``path_header``.
        text: text of the segment.
    """
    digest = hashlib.blake2b(f"{fingerprint}\0{ENCODER_VERSION}\0".encode(), digest_size=16)
    digest.update(header.encode("utf-8", "surrogatepass") + b"\0")
    digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def path_header(path: str) -> str:
    """Return the line that names a file before its segments and before the local context."""
    return f"# {path}\n"

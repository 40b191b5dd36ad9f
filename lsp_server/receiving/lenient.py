"""Decode messages into LSP's types, and leave out what these do not know.

Enumerations of the protocol grow, and clients send null, or nothing, where they should not. What
cannot be understood is left out with the smallest part that may be missing: an element of a list,
or an optional field. Some required fields have a default. Edits are the exception: without one of
them, or with half of it, the text would be wrong from then on.
"""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import cache
from typing import Any, NamedTuple, cast

import attrs
from cattrs import BaseValidationError, Converter
from cattrs.cols import is_sequence, list_structure_factory
from cattrs.errors import AttributeValidationNote, IterableValidationNote
from lsprotocol import types
from pygls.protocol import default_converter

MAX_ROUNDS = 20
"""Most attempts to decode a message; each leaves out all that the one before did not understand."""
LARGEST_INTEGER = 2**31 - 1
"""Largest integer of LSP; integers are clamped to it."""
MAX_SHOWN_CHARS = 40

Path = tuple[str | int, ...]
KEPT_NOTHING: Path = ("",)

DEFAULTS: Mapping[tuple[type | None, str], Any] = {
    (types.InitializeParams, "capabilities"): {},
    (types.WorkspaceFolder, "name"): "",
    (types.WorkspaceFoldersChangeEvent, "added"): [],
    (types.WorkspaceFoldersChangeEvent, "removed"): [],
    (types.TextDocumentItem, "language_id"): "plaintext",
    (types.TextDocumentItem, "version"): 0,
    (types.VersionedTextDocumentIdentifier, "version"): 0,
    (types.NotebookDocument, "notebook_type"): "",
    (types.NotebookDocument, "version"): 0,
    (types.VersionedNotebookDocumentIdentifier, "version"): 0,
    (types.NotebookCell, "kind"): types.NotebookCellKind.Code.value,
    (types.FileEvent, "type"): types.FileChangeType.Changed.value,
    (types.DidChangeConfigurationParams, "settings"): None,
    # A request that does not tell why it was made was made by somebody.
    (types.InlineCompletionParams, "context"): {"triggerKind": 1},
    (types.InlineCompletionContext, "trigger_kind"): 1,
    (types.CompletionContext, "trigger_kind"): 1,
}
"""Values of required fields that are missing or cannot be understood."""

KEPT_WHOLE: Mapping[str, Path] = {
    types.TEXT_DOCUMENT_DID_CHANGE: ("params", "contentChanges"),
    types.NOTEBOOK_DOCUMENT_DID_CHANGE: ("params", "change", "cells"),
}
"""Part of a message of which nothing is left out but `UNUSED`."""
WITHOUT_SOURCE = (types.INITIALIZE, types.SET_TRACE)
"""Messages whose texts may be logged."""
UNUSED = frozenset({"rangeLength", "metadata", "executionSummary"})


class NotUnderstoodError(Exception):
    """A message, or a part that it cannot do without, could not be decoded.

    Attributes:
        path: the part's path in the message.
    """

    def __init__(self, path: str, found: str) -> None:
        super().__init__(f"{path} is {found}")
        self.path = path


class LeftOut(NamedTuple):
    """A part of a message that was not understood."""

    path: str
    found: str
    """Description of what was there."""


class _Step(NamedTuple):
    """Way from a value of JSON to one in it."""

    key: str | int
    owner: type | None = None
    """Type of the object that has the field `key`; None in lists and mappings."""
    name: str = ""
    """Name of the field in Python."""


@cache
def lenient_converter() -> Converter:
    """Return pygls' converter, which no longer makes texts and truths out of any value.

    It compiles code for each type, so all servers of a process have the same one.
    """
    converter = default_converter()
    for kind, hook in ((int, _integer), (bool, _boolean), (str, _string)):
        converter.register_structure_hook(kind, hook)
    converter.register_structure_hook_factory(is_sequence, _list_hook)

    def change(value: Any, _: Any) -> Any:
        is_whole = isinstance(value, dict) and cast("dict[str, Any]", value).get("range") is None
        return converter.structure(
            value,
            types.TextDocumentContentChangeWholeDocument
            if is_whole
            else types.TextDocumentContentChangePartial,
        )

    # Not `types.TextDocumentContentChangeEvent`, which names its members as texts.
    both = types.TextDocumentContentChangePartial | types.TextDocumentContentChangeWholeDocument
    converter.register_structure_hook(both, change)
    return converter


def decode(converter: Converter, message: Any, kind: type) -> tuple[Any, list[LeftOut]]:
    """Return a message as its type, and what was left out of it. The message stays as it is.

    Raises:
        NotUnderstoodError: nothing can be left out that would make it a message of this type.
    """
    left_out: list[LeftOut] = []
    repaired = message
    for _ in range(MAX_ROUNDS):
        try:
            with attrs.validators.disabled():  # integers are clamped, and texts clamp positions
                return converter.structure(repaired, kind), left_out
        except Exception as error:
            if repaired is message:
                repaired = copy.deepcopy(message)
            left_out += _repair(repaired, list(_failures(error, ())))
    raise NotUnderstoodError("the message", "not as the protocol has it")


def path_text(path: Path) -> str:
    """Return a path as JavaScript would have it: ``params.changes[2].uri``."""
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(parts).removeprefix(".") or "the message"


def describe(value: Any, *, is_public: bool = False) -> str:
    """Describe a value of JSON, for a log. Texts are shown if they cannot be source code."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value) if abs(value) < 1e20 else "a very large number"
    if isinstance(value, str) and is_public:
        return repr(value[:MAX_SHOWN_CHARS])
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    return "a list" if isinstance(value, list) else "an object"


def _failures(error: BaseException, steps: tuple[_Step, ...]) -> Iterator[tuple[_Step, ...]]:
    """Yield the ways to all values that could not be decoded."""
    if not isinstance(error, BaseValidationError):
        yield steps
        return
    for inner in error.exceptions:
        step = _step(error.cl, inner)
        if step is None:
            yield steps
        else:
            yield from _failures(inner, (*steps, step))


def _step(owner: type, error: BaseException) -> _Step | None:
    """Return where in a value an error arose; None if cattrs does not tell."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return _Step(_json_name(note.name), owner, note.name)
        if isinstance(note, IterableValidationNote):
            return _Step(note.index)
    return None


def _json_name(name: str) -> str:
    first, *others = name.rstrip("_").split("_")
    return first + "".join(other.title() for other in others)


def _repair(message: Any, failures: list[tuple[_Step, ...]]) -> list[LeftOut]:
    """Leave out of a message what was not understood, or put a default in its place.

    Raises:
        NotUnderstoodError: a part cannot be left out, and has no default.
    """
    repairs: dict[Path, _Step] = {}
    for failure in failures:
        path, step = _smallest_repair(message, failure)
        repairs[path] = step
    left_out = [LeftOut(path_text(path), _describe_at(message, path)) for path in repairs]
    lists: dict[Path, set[int]] = {}
    for path, step in repairs.items():
        holder, key = _at(message, path[:-1]), path[-1]
        if isinstance(holder, list):
            lists.setdefault(path[:-1], set()).add(cast("int", key))
        elif (step.owner, step.name) in DEFAULTS:
            holder[key] = copy.deepcopy(DEFAULTS[step.owner, step.name])
        elif isinstance(holder, dict):
            holder.pop(key, None)
    for path in sorted(lists, key=len, reverse=True):  # indices in outer lists stay valid
        holder = _at(message, path)
        if isinstance(holder, list):
            holder[:] = [value for at, value in enumerate(holder) if at not in lists[path]]
    return left_out


def _method(message: Any) -> str:
    return str(cast("dict[str, Any]", message).get("method")) if isinstance(message, dict) else ""


def _smallest_repair(message: Any, failure: tuple[_Step, ...]) -> tuple[Path, _Step]:
    path = tuple(step.key for step in failure)
    kept = KEPT_WHOLE.get(_method(message), KEPT_NOTHING)
    for length in range(len(failure), 0, -1):
        part, step = path[:length], failure[length - 1]
        is_kept = part[: len(kept)] == kept and step.key not in UNUSED
        if _has_default(message, part, step) or (not is_kept and _can_miss(message, part, step)):
            return part, step
    raise NotUnderstoodError(path_text(path), _describe_at(message, path))


def _has_default(message: Any, path: Path, step: _Step) -> bool:
    key = (step.owner, step.name)
    holder = _at(message, path[:-1])
    return key in DEFAULTS and isinstance(holder, dict) and _at(message, path) != DEFAULTS[key]


def _can_miss(message: Any, path: Path, step: _Step) -> bool:
    """Whether a part is there, and may be left out."""
    holder = _at(message, path[:-1])
    if step.owner is None:
        return isinstance(holder, list | dict) and _at(message, path) is not _MISSING
    field = attrs.fields_dict(step.owner).get(step.name)
    is_optional = field is not None and field.default is not attrs.NOTHING
    return is_optional and isinstance(holder, dict) and path[-1] in holder


_MISSING: Any = object()


def _at(message: Any, path: Path) -> Any:
    """Return the part of a message at a path; `_MISSING` if there is none."""
    value: Any = message
    for key in path:
        is_there = (isinstance(value, dict) and key in value) or (
            isinstance(value, list) and isinstance(key, int) and key < len(value)
        )
        if not is_there:
            return _MISSING
        value = cast("Any", value)[key]
    return value


def _describe_at(message: Any, path: Path) -> str:
    """Describe the part of a message at a path."""
    value = _at(message, path)
    is_public = _method(message) in WITHOUT_SOURCE
    return "missing" if value is _MISSING else describe(value, is_public=is_public)


def _integer(value: Any, kind: type) -> Any:
    """Return an integer that LSP can have. Enumerations of integers come here, too."""
    if issubclass(kind, Enum):
        return kind(value)
    if isinstance(value, float) and math.isinf(value):
        value = math.copysign(LARGEST_INTEGER, value)
    return max(-LARGEST_INTEGER - 1, min(int(value), LARGEST_INTEGER))


def _boolean(value: Any, _: type) -> bool:
    if isinstance(value, bool | int):  # editors in Vim script send 0 and 1
        return bool(value)
    raise TypeError("no boolean")


def _string(value: Any, kind: type) -> Any:
    """Return a text. Enumerations of texts come here, too."""
    if issubclass(kind, Enum):
        return kind(value)
    if isinstance(value, str):
        return value
    raise TypeError("no text")


def _list_hook(kind: Any, converter: Any) -> Callable[[Any, Any], Any]:
    inner = list_structure_factory(kind, converter)

    def structure(value: Any, as_kind: Any) -> Any:
        if isinstance(value, list):
            return inner(value, as_kind)
        raise TypeError("no list")

    return structure

"""Every setting, declared once: type, default and meaning.

Layers, weakest first: defaults, ``initializationOptions``, ``workspace/configuration`` (section
``longllama``), command line. A value that cannot be used is left out and reported by key, value
and remedy; the server goes on without it.
"""

# ruff: noqa: RUF009 - `setting` makes a field, as `dataclasses.field` does

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

SECTION = "longllama"
OF_CLIENTS = frozenset({"server", "trace"})
"""Keys of our section that are the client's own: where the server is, what traffic to log."""


def setting(default: Any, about: str) -> Any:
    """A field with its default and its meaning."""
    if isinstance(default, dict | list):
        copy = cast("Callable[[], Any]", default.copy)
        return field(default_factory=copy, metadata={"about": about})
    return field(default=default, metadata={"about": about})


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """When an automatic suggestion is made."""

    mode: Literal["auto", "manual"] = setting(
        "auto", "Whether typing asks for suggestions, or only an explicit request does."
    )
    debounce_ms: int = setting(60, "Quiet time in milliseconds before an automatic suggestion.")
    max_line_suffix: int = setting(
        8, "Characters right of the cursor, on its line, beyond which typing asks for nothing."
    )


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What a suggestion may be."""

    max_tokens: int = setting(48, "Most tokens of a suggestion.")
    timeout_ms: int = setting(10_000, "Milliseconds after which what is there is suggested.")
    multiline: bool = setting(True, "Whether a block may be suggested on a blank line.")


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What is kept in the model's memory."""

    max_tokens: int = setting(200_000, "Most tokens in memory; the rest is left out and listed.")
    max_file_bytes: int = setting(512 * 1024, "Size in bytes above which a file is left out.")
    include: list[str] = setting([], "Patterns (gitignore syntax); if any, only these files.")
    exclude: list[str] = setting([], "Patterns (gitignore syntax) of files to leave out.")
    respect_gitignore: bool = setting(True, "Whether .gitignore files are obeyed.")
    ignore_file: str = setting(".longllamaignore", "Name of our own ignore files.")
    persist: bool = setting(True, "Whether encoded segments are kept on disk.")
    max_store_bytes: int = setting(
        4 * 1024**3,
        "Most bytes of encoded segments on disk; what was used longest ago goes.",
    )
    cache_dir: str = setting("", "Folder of encoded segments; empty: the user's cache folder.")


@dataclass(frozen=True, kw_only=True)
class Model:
    """Which model, and how it runs."""

    path: str = setting("mini", "Name of a model, or folder of a checkpoint.")
    threads: int = setting(0, "Threads of the model; 0: as many as torch finds useful.")


@dataclass(frozen=True, kw_only=True)
class Log:
    """What the server says on stderr."""

    level: Literal["error", "warning", "info", "debug"] = setting("warning", "Least level logged.")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings."""

    enable: bool = setting(True, "False stops all work.")
    enable_languages: dict[str, bool] = setting(
        {"*": True}, "Language id to whether suggestions are made; '*' is every other language."
    )
    trigger: Trigger = Trigger()
    completion: Completion = Completion()
    memory: Memory = Memory()
    model: Model = Model()
    log: Log = Log()

    def language_enabled(self, language: str) -> bool:
        """Whether suggestions are wanted in a language."""
        return self.enable_languages.get(language, self.enable_languages.get("*", True))


@dataclass(frozen=True)
class Problem:
    """A setting that could not be used."""

    key: str
    value: object
    remedy: str

    def __str__(self) -> str:
        name = f"{SECTION}.{self.key}" if self.key else SECTION
        return f"setting {name} is {self.value!r}: {self.remedy}"


def resolve(layers: Sequence[Mapping[str, Any] | None]) -> tuple[Settings, list[Problem]]:
    """Settings from layers, weakest first, each as a client sends it (camelCase, nested)."""
    settings, problems = Settings(), list[Problem]()
    for layer in layers:
        settings, found = _merge(settings, {} if layer is None else layer, "")
        problems += found
    return settings, problems


def json_schema() -> dict[str, Any]:
    """A JSON schema of every setting, by its full dotted name."""
    return {
        f"{SECTION}.{name}": {
            "type": _json_type(kind),
            "default": default,
            "description": about,
            **({"enum": list(get_args(kind))} if get_origin(kind) is Literal else {}),
        }
        for name, kind, default, about in flat(Settings(), "")
    }


def flat(group: Any, prefix: str) -> list[tuple[str, Any, Any, str]]:
    """Name, type, default and meaning of every setting of a group."""
    rows: list[tuple[str, Any, Any, str]] = []
    hints = get_type_hints(type(group))
    for item in fields(group):
        value, name = getattr(group, item.name), prefix + camel(item.name)
        if is_dataclass(value):
            rows += flat(value, f"{name}.")
        else:
            rows.append((name, hints[item.name], value, item.metadata["about"]))
    return rows


def camel(name: str) -> str:
    """A field's name as clients spell it."""
    return re.sub(r"_(.)", lambda match: match.group(1).upper(), name)


def _merge(group: Any, layer: object, prefix: str) -> tuple[Any, list[Problem]]:
    """A group with the layer's values in place of its own."""
    if not isinstance(layer, Mapping):
        return group, [Problem(prefix.rstrip("."), layer, "give an object of settings.")]
    names = {camel(item.name): item.name for item in fields(group)}
    hints = get_type_hints(type(group))
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, value in cast("Mapping[str, Any]", layer).items():
        name = names.get(key)
        if not prefix and key in OF_CLIENTS:
            continue
        if name is None:
            known = ", ".join(sorted(names))
            problems.append(
                Problem(prefix + key, value, f"there is no such setting; known: {known}.")
            )
        elif is_dataclass(current := getattr(group, name)):
            values[name], found = _merge(current, value, f"{prefix}{key}.")
            problems += found
        elif remedy := _remedy(hints[name], value):
            problems.append(Problem(prefix + key, value, remedy))
        else:
            values[name] = value
    return replace(group, **values), problems


def _remedy(kind: Any, value: object) -> str | None:
    """What to do about a value of the wrong type; None where it is right."""
    if get_origin(kind) is Literal:
        options = get_args(kind)
        return None if value in options else f"choose one of {', '.join(map(repr, options))}."
    if kind is int:
        is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        return None if is_count else "give a whole number, 0 or more."
    if kind is bool:
        return None if isinstance(value, bool) else "give true or false."
    if kind is str:
        return None if isinstance(value, str) else "give a text."
    if kind == list[str]:
        is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return None if is_list else "give a list of texts."
    is_table = isinstance(value, dict) and all(isinstance(item, bool) for item in value.values())
    return None if is_table else "give an object of true and false."


def _json_type(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "string"
    names = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}
    return names[get_origin(kind) or kind]

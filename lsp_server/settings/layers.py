"""Merges settings from several layers; later ones override earlier ones.

The layers are defaults, ``[tool.longllama]`` in the workspace's ``pyproject.toml``,
``initializationOptions``, ``workspace/configuration`` (section ``longllama``) and the command line.
An invalid value is ignored, and reported with its key and a remedy.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from difflib import SequenceMatcher
from itertools import islice
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from longllama_code.json_text import as_json
from longllama_code.source_files.patterns import is_pattern
from lsp_server.settings.declarations import CLIENT_KEYS, SECTION, Settings
from lsp_server.settings.setting import Rule, camel, declared

NOT_BY_REPOSITORY = "a repository's pyproject.toml may not set it; set it in your editor."
MAX_VALUE_CHARS = 300
"""Length at which a value is cut in a message."""
MAX_NAMED = 30
"""Problems of a group from which on unknown settings are not named: a repository may have any
number of them."""
MAX_NAME_CHARS = 64
"""Length of a name from which on none of ours is like it."""
MAX_DEPTH = 3
"""Names in a setting's full name, at most; what an unknown one holds below is its value."""
LEAST_SIMILARITY = 0.6
"""Share of equal letters from which a name may be a misspelt one of ours."""


@dataclass(frozen=True)
class Problem:
    """A setting that is ignored, with a remedy."""

    key: str
    value: object
    remedy: str

    @property
    def name(self) -> str:
        """The setting's full name."""
        return f"{SECTION}.{self.key}" if self.key else SECTION

    def __str__(self) -> str:
        return f"setting {self.name} is {as_json(self.value, MAX_VALUE_CHARS)}: {self.remedy}"


def resolve(
    layers: Sequence[Mapping[str, Any] | None], repository: Mapping[str, Any] | None = None
) -> tuple[Settings, list[Problem]]:
    """Merge layers, each nested as a client sends it; later ones override earlier ones.

    Keys may be spelt in camelCase, kebab-case or snake_case. Every layer overrides the
    ``repository``'s, which may set only what is declared as such.
    """
    settings, problems = _merge(Settings(), repository or {}, "", by_repository=True)
    for layer in layers:
        settings, found = _merge(settings, {} if layer is None else layer, "")
        problems += found
    return settings, problems


def _merge(
    group: Any, layer: object, prefix: str, *, by_repository: bool = False
) -> tuple[Any, list[Problem]]:
    """Return a group with the values of a layer, and the layer's problems."""
    if layer == []:  # Neovim sends an empty Lua table as a list
        layer = {}
    if not isinstance(layer, Mapping):
        return group, [Problem(prefix.rstrip("."), layer, "give an object of settings.")]
    known = {item.name: item for item in fields(group)}
    hints = get_type_hints(type(group))
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, value in cast("Mapping[str, Any]", layer).items():
        item = known.get(_snake(key))
        if not prefix and key in CLIENT_KEYS:
            continue
        if item is None:
            room = max(0, MAX_NAMED - len(problems))
            problems += islice(_unknown(prefix + key, value, known), room)
        elif is_dataclass(current := getattr(group, item.name)):
            values[item.name], found = _merge(
                current, value, f"{prefix}{key}.", by_repository=by_repository
            )
            problems += found
        elif by_repository and not item.metadata["by_repository"]:
            problems.append(Problem(prefix + key, value, NOT_BY_REPOSITORY))
        elif remedy := _remedy(hints[item.name], value, item.metadata["rule"]):
            problems.append(Problem(prefix + key, value, remedy))
        else:
            values[item.name] = value
    return replace(group, **values), problems


def _unknown(key: str, value: object, known: Iterable[str]) -> Iterator[Problem]:
    """Yield a problem for each setting within an unknown key, by its full name."""
    if isinstance(value, Mapping) and value and key.count(".") < MAX_DEPTH - 1:
        for name, inner in cast("Mapping[str, Any]", value).items():
            yield from _unknown(f"{key}.{name}", inner, known)
        return
    if nearest := _nearest(camel(_snake(key))):
        remedy = f"there is no such setting; the nearest is {SECTION}.{nearest}."
    else:
        remedy = f"there is no such setting; known: {', '.join(sorted(map(camel, known)))}."
    yield Problem(key, value, remedy)


def _nearest(key: str) -> str | None:
    """Return the setting whose own name is most like a key's; its group decides between equals."""
    if len(key) > MAX_NAME_CHARS:
        return None
    own = key.rpartition(".")[2]
    names = (name for name, *_ in declared(Settings(), ""))
    similar = [
        (own_share, _similarity(key, name), name)
        for name in names
        if (own_share := _similarity(own, name.rpartition(".")[2])) >= LEAST_SIMILARITY
    ]
    return max(similar)[2] if similar else None


def _similarity(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def _snake(key: str) -> str:
    """Return a key in snake_case, as fields are named."""
    return re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", key).replace("-", "_")


def _remedy(kind: Any, value: object, rule: Rule | None = None) -> str | None:
    """Return a remedy for an invalid value; None for a valid one."""
    if rule is not None:
        return None if rule.allows(value) else rule.remedy
    if get_origin(kind) is Literal:
        options = get_args(kind)
        return None if value in options else f"choose one of {', '.join(map(as_json, options))}."
    if kind is int:
        is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        return None if is_count else "give a whole number, 0 or more."
    if kind is bool:
        return None if isinstance(value, bool) else "give true or false."
    if kind is str:
        return None if isinstance(value, str) else "give a string."
    if kind == list[str]:
        return _patterns_remedy(value)
    is_table = isinstance(value, dict) and all(isinstance(item, bool) for item in value.values())
    return None if is_table else "give an object whose values are true or false."


def _patterns_remedy(value: object) -> str | None:
    """Return a remedy for an invalid list of patterns; None for a valid one."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return "give a list of strings."
    wrong = next((item for item in value if not is_pattern(item)), None)
    return None if wrong is None else f"{as_json(wrong)} is not a gitignore pattern; correct it."

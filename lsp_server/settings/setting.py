"""Form in which a setting is declared: a dataclass field with its description, rule and choices.

Settings stand in dataclasses, one for each group, which may contain other groups.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from functools import partial
from typing import Any, cast, get_type_hints


@dataclass(frozen=True)
class Rule:
    """Rule for a string's value, beyond its type."""

    pattern: str
    """Regular expression that the whole value must match; empty: any string."""
    remedy: str
    """Advice for a value that does not match."""
    is_met: Callable[[str], bool] = lambda _: True
    """Test of what the expression cannot say."""

    def allows(self, value: object) -> bool:
        """Whether a value may be taken."""
        if not isinstance(value, str) or (self.pattern and not re.fullmatch(self.pattern, value)):
            return False
        return self.is_met(value)


def setting(
    default: Any,
    about: str,
    *,
    by_repository: bool = False,
    rule: Rule | None = None,
    choices: Mapping[str, str] | None = None,
) -> Any:
    """Return a dataclass field for a setting.

    Args:
        default: value if no layer sets it.
        about: description for users: what it does, and when to choose another value.
        by_repository: whether a repository's own ``pyproject.toml`` may set it.
        rule: rule for a string's value.
        choices: what each of a few values means, for a list to choose from.
    """
    metadata = {"about": about, "by_repository": by_repository, "rule": rule, "choices": choices}
    if isinstance(default, dict | list):
        copy = cast("Callable[[], Any]", default.copy)
        return field(default_factory=copy, metadata=metadata)
    return field(default=default, metadata=metadata)


tunable = partial(setting, by_repository=True)
"""Return a field for a setting that a repository's own ``pyproject.toml`` may set."""


def declared(group: Any, prefix: str) -> Iterator[tuple[str, Any, Any, Field[Any]]]:
    """Yield name, type, default and declaration of every setting of a group."""
    hints = get_type_hints(type(group))
    for item in fields(group):
        value, name = getattr(group, item.name), prefix + camel(item.name)
        if is_dataclass(value):
            yield from declared(value, f"{name}.")
        else:
            yield name, hints[item.name], value, item


def camel(name: str) -> str:
    """Return a field's name in camelCase, as clients spell it."""
    return re.sub(r"_(.)", lambda match: match.group(1).upper(), name)

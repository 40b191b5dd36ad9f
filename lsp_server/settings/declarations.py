"""Every setting, declared once: type, default and meaning.

A repository is not trusted: its own layer may set what narrows or tunes, never a model, a folder,
or what widens what is read.
"""

# ruff: noqa: RUF009 - `setting` and `tunable` make fields, as `dataclasses.field` does

import re
from collections.abc import Callable, Iterator
from dataclasses import Field, dataclass, field, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast, get_type_hints

from longllama_code.model_sources.default_model import AUTO
from longllama_code.paths import cache_path

SECTION = "longllama"
OF_CLIENTS = frozenset({"server", "trace"})
"""Keys of our section that are the client's own: where the server is, what traffic to log."""


@dataclass(frozen=True)
class Rule:
    """What a text must be, beyond its type."""

    pattern: str
    """A regular expression that it matches as a whole."""
    remedy: str


DEVICE = Rule(r"(?:auto|cpu|mps|(?:cuda|xpu)(?::\d+)?)", "name a device, as 'cpu' or 'cuda:1'.")
TEAM_URL = Rule(
    r"(?:https://[^\s/]+(?:/\S*)?|http://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?(?:/\S*)?)?",
    "give an https:// URL; http:// is for this machine alone.",
)
FILE_NAME = Rule(r"(?!\.{1,2}$)[^/\\\0]+", "give the name of a file, without a folder.")


def setting(
    default: Any, about: str, *, by_repository: bool = False, rule: Rule | None = None
) -> Any:
    """A field with its default and its meaning.

    Args:
        default: its value where no layer names it.
        about: its meaning, for the tables.
        by_repository: whether the repository's own ``pyproject.toml`` may set it.
        rule: what a text must be.
    """
    metadata = {"about": about, "by_repository": by_repository, "rule": rule}
    if isinstance(default, dict | list):
        copy = cast("Callable[[], Any]", default.copy)
        return field(default_factory=copy, metadata=metadata)
    return field(default=default, metadata=metadata)


tunable = partial(setting, by_repository=True)
"""A setting that narrows or tunes, and so may stand in a repository's own ``pyproject.toml``."""


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """When an automatic suggestion is made."""

    mode: Literal["auto", "manual"] = setting(
        "auto",
        "Whether typing asks for suggestions, or only an explicit request does.",
        by_repository=True,
    )
    debounce_ms: int = tunable(60, "Quiet time in milliseconds before an automatic suggestion.")
    min_confidence: int = tunable(
        0,
        "Probability, in percent, of the least expected token of a line, below which the line is "
        "not suggested while typing; 0: what was measured for the model (`coder` 35, others none).",
    )
    max_line_suffix: int = setting(
        8,
        "Characters right of the cursor, on its line, beyond which typing asks for nothing.",
        by_repository=True,
    )
    inside_word: bool = tunable(
        False, "Whether typing asks for something before the rest of a word."
    )
    after_closing_bracket: bool = tunable(
        True, "Whether typing asks for something right behind a closing bracket."
    )


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What a suggestion may be."""

    max_tokens: int = tunable(48, "Most tokens of a suggestion.")
    timeout_ms: int = tunable(10_000, "Milliseconds after which what is there is suggested.")
    multiline: bool = tunable(True, "Whether a block may be suggested on a blank line.")
    candidates: int = tunable(3, "Most suggestions for an explicit request, best first.")
    ahead: bool = tunable(
        True, "Whether what would follow a suggestion is prepared while it is shown."
    )
    definition_tokens: int = tunable(
        768, "Most tokens of other files' definitions that a code model is shown; 0: none."
    )
    disable_in_comments: bool = tunable(False, "Whether nothing is suggested in comments.")


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What is kept in the model's memory."""

    max_tokens: int = setting(1_000_000, "Most tokens in memory; the rest is left out and listed.")
    max_bytes: int = setting(
        0,
        "Most bytes of keys and values in memory; 0: as many as the tokens take.",
    )
    max_file_bytes: int = setting(512 * 1024, "Size in bytes above which a file is left out.")
    include: list[str] = tunable([], "Patterns (gitignore syntax); if any, only these files.")
    exclude: list[str] = tunable([], "Patterns (gitignore syntax) of files to leave out.")
    respect_gitignore: bool = setting(True, "Whether .gitignore files are obeyed.")
    ignore_file: str = setting(".longllamaignore", "Name of our own ignore files.", rule=FILE_NAME)
    persist: bool = setting(True, "Whether encoded segments are kept on disk.")
    max_store_bytes: int = setting(
        4 * 1024**3,
        "Most bytes of encoded segments on disk; what was used longest ago goes.",
    )
    gpu_bytes: int = setting(
        2 * 1024**3,
        "Most bytes of keys and values kept on a GPU, where the model runs on one; the rest is read"
        " from the computer's memory.",
    )
    cache_dir: str = setting("", "Folder of encoded segments; empty: the user's cache folder.")

    @property
    def folder(self) -> Path:
        """Folder of encoded segments."""
        return Path(self.cache_dir).expanduser() if self.cache_dir else cache_path()


@dataclass(frozen=True, kw_only=True)
class Indexing:
    """When the repository is taken into memory."""

    pause_on_battery: bool = tunable(
        True, "Whether, without mains power, only open and changed files are taken into memory."
    )


@dataclass(frozen=True, kw_only=True)
class Model:
    """Which model, and how it runs."""

    path: str = setting(
        AUTO,
        "Name of a model, GGUF file, or folder of a checkpoint; auto: `coder`, or `mini` where "
        "less than 4 GiB of memory are free.",
    )
    threads: int = setting(
        0,
        "Most threads of the model; 0: as many as there are cores. One, where more are no faster.",
    )
    device: str = setting(
        "auto",
        "Where the model runs: cpu, cuda, cuda:1, mps or xpu; auto: on the CPU.",
        rule=DEVICE,
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16", "int8", "int4"] = setting(
        "auto",
        "What the model computes in, or the bits that its weights are rounded to; auto: on a CPU"
        " that has kernels for them a GGUF file's weights as they are, others in 8 bits, else"
        " float32; elsewhere bfloat16, on mps and on CUDA cards without it float16.",
    )
    compile: bool = setting(
        False,
        "Whether torch compiles the model's layers as it is loaded. On a CPU without effect, unless"
        " model.dtype names a float type: kernels run the model there.",
    )
    hang_timeout_ms: int = setting(
        120_000,
        "Milliseconds without a sign of life after which the model's process is started again;"
        " 0: never.",
    )


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The process that the model runs in."""

    shared: bool = setting(
        True,
        "Whether windows with the same model, cache folder and limits share one process.",
    )
    idle_ms: int = setting(
        30_000, "Milliseconds that a shared process stays after its last window."
    )
    url: str = setting(
        "",
        "URL of a team's engine, which text around the cursor and changed files are then sent to;"
        " the local one takes over where it cannot be reached. Empty: none.",
        rule=TEAM_URL,
    )
    repository: str = setting(
        "", "What the team's engine calls the repository; empty: the name of its folder."
    )
    token_file: str = setting(
        "", "File that holds your token for the team's engine; empty: $LONGLLAMA_TEAM_TOKEN."
    )
    certificate: str = setting(
        "", "File of certificates to trust for the team's engine; empty: the system's."
    )


@dataclass(frozen=True, kw_only=True)
class Log:
    """What the server says on stderr."""

    level: Literal["error", "warning", "info", "debug"] = setting("warning", "Least level logged.")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings."""

    enable: bool = tunable(True, "False stops all work.")
    enable_languages: dict[str, bool] = setting(
        {"*": True},
        "Language id to whether suggestions are made; '*' is every other language.",
        by_repository=True,
    )
    disabled_globs: list[str] = setting(
        [],
        "Patterns (gitignore syntax) of files in which nothing is suggested.",
        by_repository=True,
    )
    trigger: Trigger = Trigger()
    completion: Completion = Completion()
    memory: Memory = Memory()
    indexing: Indexing = Indexing()
    model: Model = Model()
    engine: Engine = Engine()
    log: Log = Log()

    def language_enabled(self, language: str) -> bool:
        """Whether suggestions are wanted in a language."""
        return self.enable_languages.get(language, self.enable_languages.get("*", True))


def declared(group: Any, prefix: str) -> Iterator[tuple[str, Any, Any, Field[Any]]]:
    """Name, type, default and declaration of every setting of a group."""
    hints = get_type_hints(type(group))
    for item in fields(group):
        value, name = getattr(group, item.name), prefix + camel(item.name)
        if is_dataclass(value):
            yield from declared(value, f"{name}.")
        else:
            yield name, hints[item.name], value, item


def camel(name: str) -> str:
    """A field's name as clients spell it."""
    return re.sub(r"_(.)", lambda match: match.group(1).upper(), name)

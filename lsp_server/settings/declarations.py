"""Declaration of every setting: type, default and description.

A repository is not trusted: its own layer may tune the server or narrow what it reads. It may not
set a model or a folder, or widen what is read.
"""

# ruff: noqa: RUF009 - `setting` and `tunable` make fields, as `dataclasses.field` does

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from longllama_code.errors import ConfigError
from longllama_code.model_sources.default_model import AUTO
from longllama_code.paths import cache_path, expanded
from longllama_code.protocol import RepositoryContext
from lsp_server.settings.setting import Rule, setting, tunable

SECTION = "longllama"
ShortFirst = Literal["auto", "always", "never"]
CLIENT_KEYS = frozenset({"server", "trace"})
"""Keys of our section that belong to the client: the server's path, which messages to log."""


def _has_known_home(path: str) -> bool:
    """Whether the home folder at the beginning of a path is known."""
    try:
        return not path or bool(expanded(path))
    except ConfigError:
        return False


DEVICE = Rule(
    r"(?:auto|cpu|mps|(?:cuda|xpu)(?::\d+)?)", "name a device, such as 'cpu' or 'cuda:1'."
)
TEAM_URL = Rule(
    r"(?:https://[^\s/]+(?:/\S*)?|http://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?(?:/\S*)?)?",
    "give an https:// URL; http:// is allowed for this machine only.",
)
PATH = Rule("", "name it by its whole path: this home folder is unknown.", _has_known_home)
FILE_NAME = Rule(r"(?!\.{1,2}$)[^/\\\0]+", "give the name of a file, without a folder.")


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """When suggestions are requested automatically."""

    mode: Literal["auto", "manual"] = setting(
        "auto",
        "Whether typing requests suggestions (auto) or only an explicit command does (manual). "
        "Choose manual if suggestions that come by themselves disturb you.",
        by_repository=True,
        choices={
            "auto": "Suggestions come while you type.",
            "manual": "Suggestions come when you ask for one alone.",
        },
    )
    debounce_ms: int = tunable(
        60,
        "Milliseconds without typing before a suggestion is requested. Raise it on a slow machine,"
        " so that fewer suggestions are computed that you type past.",
    )
    min_confidence: int = tunable(
        0,
        "Minimum probability, in percent, that all of what is suggested while typing is right; a "
        "suggestion ends where the model becomes less sure. 0: the model's own (`coder`: 60, "
        "others: none). Raise it to see less that is right more often, lower it to see more.",
    )
    adaptive: bool = setting(
        False,
        "Whether your own statistics raise the minimum probability, up to 90 %, where suggestions "
        "that are less sure are mostly typed over; docs/statistics.md says exactly how. Turn it on "
        "to see fewer that you do not want.",
    )
    max_line_suffix: int = setting(
        8,
        "Most characters after the cursor on its line for typing to request suggestions; closing "
        "brackets and quotes alone never count. Raise it to have suggestions inside of lines.",
        by_repository=True,
    )
    inside_word: bool = tunable(
        False,
        "Whether typing requests suggestions in the middle of a word. Turn it on to be offered "
        "another end of a word that you change.",
    )
    after_closing_bracket: bool = tunable(
        True,
        "Whether typing requests suggestions right after a closing bracket. Turn it off if they "
        "come where your line is complete.",
    )


@dataclass(frozen=True, kw_only=True)
class Completion:
    """Limits of a suggestion."""

    max_tokens: int = tunable(
        48,
        "Maximum number of tokens of a suggestion; a token is about three characters. Raise it for "
        "longer blocks, lower it if suggestions come late.",
    )
    timeout_ms: int = tunable(
        10_000,
        "Milliseconds after which the text generated so far is suggested. Lower it to be shown less"
        " but sooner on a slow machine.",
    )
    multiline: bool = tunable(
        True,
        "Whether a block of several lines may be suggested on a blank line. Turn it off to be shown"
        " single lines alone.",
    )
    candidates: int = tunable(
        3,
        "Maximum number of suggestions for an explicit request, best first. Raise it to choose "
        "among more, lower it to wait less.",
    )
    ahead: bool = tunable(
        True,
        "Whether the text after a suggestion is computed while the suggestion is shown, so that the"
        " next one comes at once. Turn it off to spare a battery.",
    )
    short_first: ShortFirst = tunable(
        "auto",
        "When the first suggestion at a place that was not read ahead comes from a short part of"
        " the file around the cursor and fewer definitions, while the whole is read behind it."
        " Choose always to be shown something sooner, never to be shown what is right more often.",
        choices={
            "auto": "Where reading the whole would take more than two seconds; where you ask "
            "yourself, more than half of completion.timeoutMs.",
            "always": "Wherever the whole is not read yet.",
            "never": "Never: a first suggestion waits until the whole is read.",
        },
    )
    definition_tokens: int = tunable(
        768,
        "Maximum number of tokens of other files in a code model's prompt; 0: none. Raise it if "
        "names of other files are missed, lower it if the first suggestion in a file takes long.",
    )
    repository_context: RepositoryContext = tunable(
        "definitions",
        "What a code model sees of other files: definitions that the cursor needs, in its prompt"
        " (definitions) or as memory, which encodes each once and keeps it on disk (memory), or"
        " chunks of ten lines that are similar to the text before it (similar). Choose memory if"
        " suggestions at a new place take long; otherwise leave definitions unless you compare.",
        choices={
            "definitions": "Definitions stand in the prompt, and are read again at a new place.",
            "memory": "Each definition is encoded once, in advance, and kept on disk.",
            "similar": "Chunks of ten lines stand in the prompt.",
        },
    )
    recent_edits: bool = tunable(
        False,
        "Whether a code model is shown the lines that you edited last, also in other files, in up "
        "to 200 tokens. Turn it on if you rename and re-sign functions that other files use; a "
        "suggestion then waits longer after you edited another file.",
    )
    existing_names: bool = tunable(
        True,
        "Whether a name that a module or class of the repository lacks is replaced by one of its "
        "own, or else not suggested (Python; modules of TypeScript and JavaScript). Turn it off if "
        "you often write a use before the definition.",
    )
    disable_in_comments: bool = tunable(
        False,
        "Whether suggestions are disabled in comments. Turn it on to write comments undisturbed.",
    )


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Limits of the model's memory, and which files are in it."""

    max_tokens: int = setting(
        1_000_000,
        "Maximum number of tokens in memory; other files are left out and listed. Raise it if files"
        " that you need are left out and the machine has memory to spare.",
    )
    max_bytes: int = setting(
        0,
        "Maximum bytes of keys and values in memory; 0: limited by memory.maxTokens only. Set it "
        "where other programs need the machine's memory.",
    )
    max_file_bytes: int = setting(
        512 * 1024,
        "Maximum size of a file in bytes; larger files are left out. Raise it if a file that you "
        "need is listed as too large.",
    )
    include: list[str] = tunable(
        [],
        "Patterns (gitignore syntax) of the only files to take into memory; empty: all files. Name "
        'the parts that you work on if a repository is too large, such as "services/billing/".',
    )
    exclude: list[str] = tunable(
        [],
        "Patterns (gitignore syntax) of files to leave out of memory. Name generated and foreign "
        'code, such as "vendor/" or "*.min.js".',
    )
    respect_gitignore: bool = setting(
        True,
        "Whether files ignored by .gitignore files are left out. Turn it off if code that you call "
        "is generated into ignored folders.",
    )
    ignore_file: str = setting(
        ".longllamaignore",
        "Name of additional ignore files, in gitignore syntax. Change it to use the files of "
        "another tool.",
        rule=FILE_NAME,
    )
    persist: bool = setting(
        True,
        "Whether encoded files are stored on disk, so that a restart does not encode them again. "
        "Turn it off to leave nothing of the code there.",
    )
    max_store_bytes: int = setting(
        4 * 1024**3,
        "Maximum bytes of encoded files on disk; the least recently used are removed. Lower it if "
        "the disk is small, raise it if you work on many repositories.",
    )
    compact_definitions: bool = setting(
        False,
        "Whether definitions that `completion.repositoryContext: memory` encodes take a quarter "
        "less room on disk: 2.6 instead of 3.5 kB a token of the default model. Turn it on for a "
        "large repository; predictions differ a little more from those without rounding.",
    )
    gpu_bytes: int = setting(
        2 * 1024**3,
        "Maximum bytes of keys and values kept on the GPU that the model runs on; others are read"
        " from main memory. Lower it if other programs need the GPU's memory.",
    )
    cache_dir: str = setting(
        "",
        "Folder of encoded files; empty: the user's cache folder. Name one on a local disk if the "
        "home folder is on a network.",
        rule=PATH,
    )

    @property
    def folder(self) -> Path:
        """Folder of encoded files.

        Raises:
            ConfigError: the user has none; see `cache_path`.
        """
        return expanded(self.cache_dir) if self.cache_dir else cache_path()


@dataclass(frozen=True, kw_only=True)
class Indexing:
    """When files are taken into memory."""

    pause_on_battery: bool = tunable(
        True,
        "Whether only open and changed files are taken into memory while on battery. Turn it off to"
        " have the whole repository read there, too.",
    )


@dataclass(frozen=True, kw_only=True)
class Model:
    """The model, and how it runs."""

    path: str = setting(
        AUTO,
        "Name of a model, GGUF file, or folder of a checkpoint; auto: `coder`, or `mini` if less "
        "than 4 GiB of memory are free. Choose `coder-1.5b` for better suggestions where they come "
        "fast enough.",
    )
    threads: int = setting(
        0,
        "Maximum number of threads of the model, which uses one if more are no faster; 0: one per"
        " core. Lower it to leave cores to other programs.",
    )
    device: str = setting(
        "auto",
        "Device of the model: cpu, cuda, cuda:1, mps or xpu; auto: the CPU. Name your GPU if you "
        "have one that torch supports.",
        rule=DEVICE,
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16", "int8", "int4"] = setting(
        "auto",
        "Type that the model computes in, or that its weights are rounded to; auto: on a CPU with"
        " kernels for them, a GGUF file's weights unchanged and other weights in 8 bits, on other"
        " CPUs float32, on GPUs bfloat16, or float16 on mps and on CUDA GPUs without bfloat16."
        " Leave auto unless memory is short: int8 and int4 need less of it.",
    )
    compile: bool = setting(
        False,
        "Whether torch compiles the model's layers when it is loaded. On a CPU this needs a float"
        " type as model.dtype: otherwise our own kernels run the model. Turn it on to measure on"
        " your GPU; loading takes longer.",
    )
    hang_timeout_ms: int = setting(
        120_000,
        "Milliseconds without an answer after which the model's process is restarted; 0: never. "
        "Raise it if a large model is restarted while it works.",
    )


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The process that runs the model."""

    shared: bool = setting(
        True,
        "Whether windows with equal settings of model, store and GPU share one process. Turn it off"
        " to keep windows apart, at the price of a model in memory for each.",
    )
    idle_ms: int = setting(
        30_000,
        "Milliseconds that a shared process stays after its last window was closed. Raise it if you"
        " open windows often, lower it to free memory sooner.",
    )
    url: str = setting(
        "",
        "URL of a team's engine; empty: none. Set it if your team runs one: the text around the "
        "cursor and changed files are sent to it. A local engine takes over while it cannot be "
        "reached.",
        rule=TEAM_URL,
    )
    repository: str = setting(
        "",
        "Name of the repository at the team's engine; empty: the name of its folder. Set it if the "
        "engine calls it otherwise.",
    )
    token_file: str = setting(
        "",
        "File with your token for the team's engine; empty: $LONGLLAMA_TEAM_TOKEN. Name one if your"
        " editor is not started from a shell.",
        rule=PATH,
    )
    certificate: str = setting(
        "",
        "File of certificates to trust for the team's engine; empty: the system's. Name one if the "
        "engine's certificate is your organization's own.",
        rule=PATH,
    )


@dataclass(frozen=True, kw_only=True)
class StatisticsSettings:
    """Counting of what becomes of suggestions."""

    enable: bool = setting(
        True,
        "Whether what becomes of suggestions is counted: numbers, without any text or name of a "
        "file, kept in the cache folder and never sent. Turn it off to have nothing counted.",
    )


@dataclass(frozen=True, kw_only=True)
class Log:
    """Log of the server, on stderr."""

    level: Literal["error", "warning", "info", "debug"] = setting(
        "warning", "Lowest level that is logged. Choose debug to report a problem."
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings."""

    enable: bool = tunable(
        True,
        "Whether the server works at all. Turn it off to stop suggestions and reading for a while.",
    )
    enable_languages: dict[str, bool] = setting(
        {"*": True},
        "Language id → whether suggestions are made; '*' stands for every other language. To have "
        "none in Markdown, add markdown: false.",
        by_repository=True,
    )
    disabled_globs: list[str] = setting(
        [],
        "Patterns (gitignore syntax) of files in which nothing is suggested, such as "
        '"*.csv". To keep files out of memory as well, use memory.exclude.',
        by_repository=True,
    )
    trigger: Trigger = Trigger()
    completion: Completion = Completion()
    memory: Memory = Memory()
    indexing: Indexing = Indexing()
    model: Model = Model()
    engine: Engine = Engine()
    statistics: StatisticsSettings = StatisticsSettings()
    log: Log = Log()

    def language_enabled(self, language: str) -> bool:
        """Whether suggestions are enabled in a language."""
        return self.enable_languages.get(language, self.enable_languages.get("*", True))

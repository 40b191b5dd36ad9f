"""Choice of the engine by the settings: a local one, or a team's with a local fallback."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from longllama_code.engine_options import EngineOptions
from longllama_code.errors import ConfigError
from longllama_code.model_sources.default_model import chosen_model
from longllama_code.paths import expanded
from lsp_server.engine.client import EngineClient, EngineState
from lsp_server.engine.options import ClientOptions
from lsp_server.engine.process.scripted import is_script
from lsp_server.engine.team.engine import TeamEngine, TeamOptions
from lsp_server.engine.team.http import TeamAddress
from lsp_server.settings.declarations import Settings

logger = logging.getLogger(__name__)

TOKEN_VARIABLE = "LONGLLAMA_TEAM_TOKEN"


@dataclass(frozen=True)
class EngineChoice:
    """Options of the engines; if they change, the engines must be replaced."""

    local: ClientOptions
    team: TeamOptions | None = None


def engine_choice(settings: Settings, roots: Sequence[Path]) -> EngineChoice:
    """Return the engine that the settings ask for, for these workspace folders."""
    local, engine = _local_options(settings, roots), settings.engine
    if not engine.url:
        return EngineChoice(local)
    address = TeamAddress(engine.url, _token(engine.token_file), engine.certificate)
    return EngineChoice(local, TeamOptions(address, tuple(roots), engine.repository))


def make_engine(
    choice: EngineChoice, on_state: Callable[[EngineState, str], None]
) -> EngineClient | TeamEngine:
    """Return the engine of a choice; it is not started yet."""
    if choice.team is None:
        return EngineClient(choice.local, on_state)
    return TeamEngine(choice.team, choice.local, on_state)


def _token(path: str) -> str:
    """Return the token from a file, or from the environment if none is named.

    A file that cannot be read is logged, and gives an empty token.
    """
    if not path:
        return os.environ.get(TOKEN_VARIABLE, "")
    try:
        return expanded(path).read_text("utf-8").strip()
    except (ConfigError, OSError, UnicodeDecodeError) as error:
        logger.warning("no token for the team's engine, engine.tokenFile is %s: %s", path, error)
        return ""


def _local_options(settings: Settings, roots: Sequence[Path]) -> ClientOptions:
    chosen, memory = chosen_model(settings.model.path), settings.memory
    engine = EngineOptions(
        model=chosen.name,
        cache_dir=expanded(memory.cache_dir) if memory.cache_dir else None,
        persist=memory.persist,
        max_store_bytes=memory.max_store_bytes,
        compact_definitions=memory.compact_definitions,
        threads=settings.model.threads,
        device=settings.model.device,
        dtype=settings.model.dtype,
        gpu_bytes=memory.gpu_bytes,
        compile=settings.model.compile,
    )
    return ClientOptions(
        engine,
        # A script may have changed since, and reading it again costs nothing.
        is_shared=settings.engine.shared and not is_script(settings.model.path),
        idle_s=settings.engine.idle_ms / 1000,
        hang_timeout_s=settings.model.hang_timeout_ms / 1000,
        name=", ".join(root.name for root in roots) or "no folder",
        note=chosen.reason,
    )

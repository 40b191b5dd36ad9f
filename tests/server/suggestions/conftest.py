"""A suggester and an engine that answers only when a test lets it."""

import pytest

from lsp_server.suggestions.suggester import Suggester
from tests.server.suggestions.slow_engine import SlowEngine


@pytest.fixture
def engine() -> SlowEngine:
    return SlowEngine()


@pytest.fixture
def suggester() -> Suggester:
    return Suggester()

"""A code model for the tests of what it is shown of other files."""

import pytest

from longllama_code.generation.models import LoadedModel
from tests.code_model import code_model


@pytest.fixture(scope="module")
def coder() -> LoadedModel:
    """A random model with a code model's marks, the same one for all tests of a file."""
    return code_model()

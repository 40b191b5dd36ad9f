"""Time that a test waits for what must happen: long, as a busy machine is no failure."""

import os

DEADLINE_S = max(60.0, float(os.environ.get("LONGLLAMA_TEST_DEADLINE_S", "60")))
"""Time after which it counts as what never happens."""

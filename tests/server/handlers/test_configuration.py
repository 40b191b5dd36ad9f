"""Settings that a client is asked for: used whenever they come."""

import pytest

from lsp_server.handlers import workspace

PULLS = {"workspace": {"configuration": True}}
ASKED = "workspace/configuration"


@pytest.fixture(autouse=True)
def impatience(monkeypatch):
    """The server begins without an answer at once."""
    monkeypatch.setattr(workspace, "PULL_TIMEOUT_S", 0.01)


async def test_an_answer_that_comes_late_is_used(wire, root):
    wire.answers[ASKED] = [{"enable": False}]
    wire.withholds.add(ASKED)
    await wire.begin(root, can=PULLS)
    assert (await wire.indexed())["phase"] == "ready"
    wire.release()
    await wire.until(lambda: wire.statuses[-1]["phase"] == "off")


async def test_without_an_answer_defaults_hold_and_the_server_ends(wire, root):
    wire.withholds.add(ASKED)
    await wire.begin(root, can=PULLS)
    assert (await wire.indexed())["phase"] == "ready"
    await wire.ask("shutdown")


@pytest.mark.parametrize("answer", [None, [], {}, [{"enable": 3}, {}], "x"])
async def test_a_late_answer_of_no_use_does_no_harm(wire, root, answer):
    wire.answers[ASKED] = answer
    wire.withholds.add(ASKED)
    await wire.begin(root, can=PULLS)
    wire.release()
    assert (await wire.indexed())["phase"] == "ready"

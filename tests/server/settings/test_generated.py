"""What is generated from the settings: it must be up to date, and nothing else may be touched."""

import json
import re

import pytest

from lsp_server.settings import generated
from lsp_server.settings.declarations import CLIENT_KEYS, SECTION

MANIFEST = json.loads(generated.MANIFEST.read_text("utf-8"))


def properties() -> dict[str, dict[str, object]]:
    groups = MANIFEST["contributes"]["configuration"]
    return {name: entry for group in groups for name, entry in group["properties"].items()}


def test_what_is_generated_is_up_to_date():
    for path, text in generated.generated().items():
        assert path.read_text("utf-8") == text, f"{path.name}: run `poe settings`"


def test_drift_is_found_and_mended():
    text = generated.MANIFEST.read_text("utf-8")
    stale = text.replace('"default": 48', '"default": 47')
    assert stale != text
    assert generated.with_properties(stale) == text


def test_each_category_has_a_place_of_its_own():
    orders = [group["order"] for group in MANIFEST["contributes"]["configuration"]]
    assert orders == list(range(1, len(orders) + 1))


def test_vscode_declares_the_clients_own_settings_and_the_servers_alone():
    own = set(properties()) - set(generated.vscode_properties())
    assert {name.split(".")[1] for name in own} == CLIENT_KEYS


def test_places_on_a_machine_are_restricted_and_stay_on_it():
    trust = MANIFEST["capabilities"]["untrustedWorkspaces"]
    restricted = trust["restrictedConfigurations"]
    assert set(restricted) == {*generated.MACHINE_SETTINGS, f"{SECTION}.server.command"}
    assert {properties()[name]["scope"] for name in restricted} == {"machine-overridable"}


def test_where_code_goes_is_the_users_own_choice():
    assert {properties()[name]["scope"] for name in generated.USER_SETTINGS} == {"machine"}
    assert not {name.removeprefix(f"{SECTION}.") for name in generated.USER_SETTINGS} & set(
        generated.repository_settings()
    )


def test_vscode_lists_each_setting_in_one_category_in_the_order_of_the_declarations():
    groups = generated.categories()
    assert [group["title"] for group in groups] == list(generated.CATEGORIES)
    assert all(group["properties"] for group in groups)
    listed = [name for group in groups for name in group["properties"]]
    assert sorted(listed) == sorted(generated.vscode_properties())
    orders = [[entry["order"] for entry in group["properties"].values()] for group in groups]
    assert all(order == sorted(order) for order in orders)


def test_a_setting_without_a_category_is_found(monkeypatch):
    fewer = {title: keys for title, keys in generated.CATEGORIES.items() if title != "Log"}
    monkeypatch.setattr(generated, "CATEGORIES", fewer)
    with pytest.raises(AssertionError, match=r"longllama\.log\.level: name a category"):
        generated.categories()


@pytest.mark.parametrize("name", generated.vscode_properties())
def test_every_description_says_when_to_choose_another_value(name):
    said = properties()[name]["description"]
    assert re.search(r"[.;)] (Raise|Lower|Turn|Choose|Name|Set|Change|Leave|To) [^.]+", said), said


def test_what_can_be_chosen_is_explained():
    mode = properties()["longllama.trigger.mode"]
    assert len(mode["enumDescriptions"]) == len(mode["enum"]) == 2

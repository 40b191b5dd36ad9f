"""The sample project, a small web shop, and the lines of it that the demo completes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from lsp_server.demo.places import Place, place_before

SAMPLE = Path(__file__).with_name("sample_project")
NAME = "shop"
_LINES = (
    ("a member of an enumeration", "shop/orders/cancelling.py", "order.move_to(OrderStatus."),
    ("a method of a parameter", "shop/stock/reordering.py", "for level in warehouse."),
    ("a method of an attribute", "shop/shipping/labels.py", "customer.address."),
    ("a method of what a property returns", "shop/pricing/bonus.py", "return bill.total."),
    ("a method of an interface", "shop/orders/fulfilment.py", "label = carrier."),
)


@dataclass(frozen=True)
class Renaming:
    """An edit on disk: a definition gets another name, which the last place follows."""

    file: str
    old: str
    new: str

    def apply(self, root: Path) -> int:
        """Rename it in a copy of the project, and return the first line that changed."""
        path = root / self.file
        text = path.read_text("utf-8")
        path.write_text(text.replace(self.old, self.new), "utf-8")
        return text[: text.index(self.old)].count("\n") + 1

    def after(self, place: Place) -> Place:
        """Return a place as it is to be completed after the edit."""
        return replace(place, expected=place.expected.replace(self.old, self.new))


RENAMING = Renaming("shop/shipping/carriers.py", "book_pickup", "arrange_collection")


def copy_sample(folder: Path) -> Path:
    """Copy the project into a folder, and return its root."""
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    return Path(shutil.copytree(SAMPLE, folder / NAME, ignore=ignored))


def sample_places(root: Path = SAMPLE) -> list[Place]:
    """Return the lines to complete."""
    return [
        place_before((root / file).read_text("utf-8"), file, marker, about)
        for about, file, marker in _LINES
    ]

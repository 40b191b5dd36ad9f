"""What is to be ordered from suppliers."""

from __future__ import annotations

from shop.stock.warehouse import Warehouse


def reorder_list(warehouse: Warehouse) -> list[str]:
    """Return a line for each product of which few pieces are left."""
    return [f"{level.sku}: {level.free} left" for level in warehouse.running_low()]

"""The warehouse: pieces on hand, and those of them that are reserved for orders."""

from __future__ import annotations

from dataclasses import dataclass

from shop.database import Database
from shop.errors import OutOfStock

LOW_STOCK = 5


@dataclass(frozen=True)
class StockLevel:
    """Pieces of one product."""

    sku: str
    on_hand: int
    reserved: int

    @property
    def free(self) -> int:
        """Pieces that can still be ordered."""
        return self.on_hand - self.reserved


class Warehouse:
    """Counts pieces; never are more reserved than there are.

    Args:
        database: where they are counted.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def level(self, sku: str) -> StockLevel:
        """Return how many pieces of a product there are."""
        row = self._database.row("select * from stock where sku = ?", sku)
        return StockLevel(sku, row["on_hand"], row["reserved"]) if row else StockLevel(sku, 0, 0)

    def take_delivery(self, sku: str, pieces: int) -> None:
        """Add pieces that a supplier delivered."""
        self._database.execute(
            "insert into stock (sku, on_hand) values (?, ?)"
            " on conflict (sku) do update set on_hand = on_hand + excluded.on_hand",
            sku,
            pieces,
        )

    def set_aside(self, sku: str, pieces: int) -> None:
        """Reserve pieces for an order.

        Raises:
            OutOfStock: fewer are free.
        """
        changed = self._database.execute(
            "update stock set reserved = reserved + ? where sku = ? and on_hand - reserved >= ?",
            pieces,
            sku,
            pieces,
        )
        if not changed:
            raise OutOfStock(sku, pieces, self.level(sku).free)

    def put_back(self, sku: str, pieces: int) -> None:
        """Free pieces that were reserved."""
        self._database.execute(
            "update stock set reserved = max(0, reserved - ?) where sku = ?", pieces, sku
        )

    def hand_out(self, sku: str, pieces: int) -> None:
        """Take reserved pieces out of the warehouse, as their parcel leaves."""
        self._database.execute(
            "update stock set on_hand = on_hand - ?, reserved = reserved - ? where sku = ?",
            pieces,
            pieces,
            sku,
        )

    def running_low(self) -> list[StockLevel]:
        """Return the products that should be ordered again, the scarcest first."""
        rows = self._database.rows(
            "select * from stock where on_hand - reserved < ? order by on_hand - reserved, sku",
            LOW_STOCK,
        )
        return [StockLevel(row["sku"], row["on_hand"], row["reserved"]) for row in rows]

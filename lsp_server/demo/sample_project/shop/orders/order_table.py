"""Orders in the database."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from shop.customers.customer import Address
from shop.database import Database
from shop.errors import ShopError
from shop.money import Money
from shop.orders.order import Order, OrderLine, OrderStatus


class OrderTable:
    """Reads and writes orders.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, order: Order) -> None:
        """Add a new order with its lines."""
        with self._database.transaction():
            self._database.execute(
                "insert into orders values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                order.number,
                order.customer_id,
                order.status.value,
                order.placed_at.isoformat(),
                order.shipping.currency,
                order.discount.cents,
                order.shipping.cents,
                order.tax.cents,
                order.address.street,
                order.address.postcode,
                order.address.city,
                order.address.country,
                order.payment_reference,
                order.tracking_code,
            )
            for line in order.lines:
                self._add_line(order.number, line)

    def update(self, order: Order) -> None:
        """Store an order's status, payment and tracking code."""
        self._database.execute(
            "update orders set status = ?, payment_reference = ?, tracking_code = ?"
            " where number = ?",
            order.status.value,
            order.payment_reference,
            order.tracking_code,
            order.number,
        )

    def by_number(self, number: str) -> Order:
        """Return the order with a number.

        Raises:
            ShopError: there is none.
        """
        row = self._database.row("select * from orders where number = ?", number)
        if row is None:
            raise ShopError(f"There is no order {number}.")
        return self._order(row)

    def of_customer(self, customer_id: int) -> list[Order]:
        """Return a customer's orders, the newest first."""
        query = "select * from orders where customer_id = ? order by placed_at desc, number desc"
        return [self._order(row) for row in self._database.rows(query, customer_id)]

    def in_status(self, status: OrderStatus) -> list[Order]:
        """Return all orders in a status, the oldest first."""
        query = "select * from orders where status = ? order by placed_at, number"
        return [self._order(row) for row in self._database.rows(query, status.value)]

    def placed_between(self, start: datetime, end: datetime) -> list[Order]:
        """Return the orders of a period, without its end."""
        query = "select * from orders where placed_at >= ? and placed_at < ? order by placed_at"
        rows = self._database.rows(query, start.isoformat(), end.isoformat())
        return [self._order(row) for row in rows]

    def next_number(self, year: int) -> str:
        """Return a number that no order has."""
        query = "select count(*) as n from orders where number like ?"
        row = self._database.row(query, f"{year}-%")
        assert row is not None
        return f"{year}-{row['n'] + 1:06}"

    def _add_line(self, number: str, line: OrderLine) -> None:
        self._database.execute(
            "insert into order_lines values (?, ?, ?, ?, ?, ?)",
            number,
            line.sku,
            line.title,
            line.quantity,
            line.unit_price.cents,
            line.weight_grams,
        )

    def _order(self, row: sqlite3.Row) -> Order:
        query = "select * from order_lines where order_number = ? order by rowid"
        currency = row["currency"]
        lines = (_line(each, currency) for each in self._database.rows(query, row["number"]))
        return Order(
            row["number"],
            row["customer_id"],
            datetime.fromisoformat(row["placed_at"]),
            tuple(lines),
            Address(row["street"], row["postcode"], row["city"], row["country"]),
            Money(row["discount_cents"], currency),
            Money(row["shipping_cents"], currency),
            Money(row["tax_cents"], currency),
            OrderStatus(row["status"]),
            row["payment_reference"],
            row["tracking_code"],
        )


def _line(row: sqlite3.Row, currency: str) -> OrderLine:
    price = Money(row["unit_cents"], currency)
    return OrderLine(row["sku"], row["title"], row["quantity"], price, row["weight_grams"])

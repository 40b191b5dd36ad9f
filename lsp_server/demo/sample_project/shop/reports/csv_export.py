"""Reports as CSV, for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from shop.orders.order import Order
from shop.reports.sales import SalesReport

ORDER_COLUMNS = ("number", "placed at", "status", "country", "goods", "shipping", "total")


def orders_as_csv(orders: Iterable[Order]) -> str:
    """Return a row for each order."""
    rows = (
        (
            order.number,
            f"{order.placed_at:%Y-%m-%d %H:%M}",
            order.status.value,
            order.address.country,
            order.goods_total.format(),
            order.shipping.format(),
            order.amount_due.format(),
        )
        for order in orders
    )
    return _as_csv(ORDER_COLUMNS, rows)


def days_as_csv(report: SalesReport) -> str:
    """Return a row for each day of a report."""
    rows = ((day.isoformat(), money.format()) for day, money in sorted(report.by_day.items()))
    return _as_csv(("day", "revenue"), rows)


def _as_csv(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()

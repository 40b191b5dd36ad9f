"""Sales of a period, by day and by product."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from shop.money import Money
from shop.orders.order import Order, OrderStatus

NO_SALES = frozenset({OrderStatus.CALLED_OFF, OrderStatus.SENT_BACK})


@dataclass(frozen=True)
class SalesReport:
    """Sales of some orders."""

    n_orders: int
    revenue: Money
    by_day: dict[date, Money]
    pieces_sold: Counter[str]

    @property
    def average_order(self) -> Money:
        """Revenue of an order in the mean."""
        return Money(self.revenue.cents // max(1, self.n_orders), self.revenue.currency)

    def best_sellers(self, count: int = 5) -> list[tuple[str, int]]:
        """Return the products that were sold most often, and how many of each."""
        return sorted(self.pieces_sold.items(), key=lambda item: (-item[1], item[0]))[:count]


def report_sales(orders: Iterable[Order]) -> SalesReport:
    """Return the sales of some orders, without those that were called off or sent back."""
    sold = [order for order in orders if order.status not in NO_SALES]
    by_day: defaultdict[date, Money] = defaultdict(Money.zero)
    pieces: Counter[str] = Counter()
    for order in sold:
        by_day[order.placed_at.date()] += order.amount_due
        for line in order.lines:
            pieces[line.sku] += line.quantity
    revenue = Money.total(order.amount_due for order in sold)
    return SalesReport(len(sold), revenue, dict(by_day), pieces)

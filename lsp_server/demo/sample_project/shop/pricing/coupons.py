"""Coupons: a share or an amount off the goods of a cart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from shop.cart import Cart
from shop.catalog.products import Category
from shop.customers.customer import Customer
from shop.database import Database
from shop.errors import CouponRejected
from shop.money import Money

NOTHING = Money(0)


@dataclass(frozen=True)
class Coupon:
    """A code that makes a cart cheaper."""

    code: str
    percent_off: Decimal = Decimal(0)
    amount_off: Money = NOTHING
    least_total: Money = NOTHING
    """Price of the goods from which on it can be used."""
    only_category: Category | None = None
    last_day: date | None = None
    uses_per_customer: int = 1

    def discount_for(self, cart: Cart) -> Money:
        """Return what a cart becomes cheaper by; never more than the goods cost."""
        goods = Money.total(line.price for line in cart if self._covers(line.product.category))
        return min(goods, goods.percent(self.percent_off) + self.amount_off)

    def _covers(self, category: Category) -> bool:
        return self.only_category in (None, category)


class CouponBook:
    """All coupons, and who used them.

    Args:
        database: where uses are recorded.
        coupons: the coupons that there are.
    """

    def __init__(self, database: Database, coupons: Iterable[Coupon]) -> None:
        self._database = database
        self._coupons = {coupon.code: coupon for coupon in coupons}

    def check(self, code: str, cart: Cart, customer: Customer, today: date) -> Coupon:
        """Return the coupon with a code, if the customer may use it for the cart.

        Raises:
            CouponRejected: there is none, or they may not.
        """
        coupon = self._coupons.get(code.strip().upper())
        if coupon is None:
            raise CouponRejected(code, "there is no such code")
        if coupon.last_day is not None and today > coupon.last_day:
            raise CouponRejected(coupon.code, f"it ended on {coupon.last_day:%d %B}")
        if cart.goods_total < coupon.least_total:
            raise CouponRejected(coupon.code, f"it needs {coupon.least_total.format()} of goods")
        if self._count_uses(coupon.code, customer) >= coupon.uses_per_customer:
            raise CouponRejected(coupon.code, "you have used it")
        return coupon

    def record_use(self, coupon: Coupon, customer: Customer, order_number: str) -> None:
        """Remember that a customer used a coupon for an order."""
        self._database.execute(
            "insert into coupon_uses values (?, ?, ?)", coupon.code, customer.id, order_number
        )

    def _count_uses(self, code: str, customer: Customer) -> int:
        query = "select 1 from coupon_uses where code = ? and customer_id = ?"
        return len(self._database.rows(query, code, customer.id))

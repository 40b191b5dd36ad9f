"""The bill of a cart: goods, discount, shipping, and the taxes in them."""

from __future__ import annotations

from dataclasses import dataclass

from shop.cart import Cart
from shop.catalog.products import TaxClass
from shop.money import Money
from shop.pricing.coupons import Coupon
from shop.pricing.taxes import included_tax
from shop.shipping.tariffs import shipping_fee


@dataclass(frozen=True)
class Bill:
    """What a cart costs."""

    goods: Money
    discount: Money
    shipping: Money
    tax: Money
    """Tax that the total includes."""

    @property
    def total(self) -> Money:
        """What the customer pays."""
        return self.goods - self.discount + self.shipping


def draw_up_bill(cart: Cart, country: str, coupon: Coupon | None = None) -> Bill:
    """Return the bill of a cart that is sent to a country.

    Raises:
        NotDeliverable: nobody takes parcels there.
    """
    goods = cart.goods_total
    discount = coupon.discount_for(cart) if coupon else Money.zero()
    shipping = shipping_fee(country, cart.weight_grams, goods - discount)
    tax = _goods_tax(cart, country, discount) + included_tax(shipping, country, TaxClass.GOODS)
    return Bill(goods, discount, shipping, tax)


def _goods_tax(cart: Cart, country: str, discount: Money) -> Money:
    """Return the tax on the goods; each line bears its share of the discount."""
    lines = list(cart)
    if not cart.goods_total:
        return Money.zero()
    shares = discount.split([line.price.cents for line in lines])
    return Money.total(
        included_tax(line.price - share, country, line.product.tax_class)
        for line, share in zip(lines, shares, strict=True)
    )

"""Taxes, coupons, shipping and bills."""

from datetime import date
from decimal import Decimal

import pytest
from shop.cart import MAX_PIECES, Cart
from shop.catalog.products import Category, TaxClass
from shop.customers.customer import Customer
from shop.database import Database
from shop.errors import CouponRejected, NotDeliverable
from shop.money import Money
from shop.pricing.bonus import bonus_for
from shop.pricing.coupons import Coupon, CouponBook
from shop.pricing.taxes import included_tax, net_price, tax_rate
from shop.pricing.totals import draw_up_bill
from shop.seed import COUPONS, PRODUCTS
from shop.shipping.tariffs import shipping_fee

TODAY = date(2026, 5, 3)


def cart_of(*pieces: tuple[int, int]) -> Cart:
    """A cart with so many pieces of the products at these places."""
    cart = Cart()
    for place, count in pieces:
        cart.put_in(PRODUCTS[place], count)
    return cart


def test_rates_depend_on_country_and_goods() -> None:
    assert tax_rate("FR", TaxClass.FOOD) == Decimal("5.5")
    assert tax_rate("GB", TaxClass.GOODS) == tax_rate("DE", TaxClass.GOODS) == 19
    assert tax_rate("DE", TaxClass.EXEMPT) == 0


def test_tax_is_part_of_the_price() -> None:
    assert included_tax(Money(119_00), "DE", TaxClass.GOODS) == Money(19_00)
    assert net_price(Money(107_00), "DE", TaxClass.FOOD) == Money(100_00)


def test_a_cart_counts_pieces_price_and_weight() -> None:
    cart = cart_of((0, 2), (4, 1), (0, 1))
    assert (len(cart), cart.count_pieces) == (2, 4)
    assert cart.goods_total == Money(3 * 12_90 + 64_00)
    assert cart.weight_grams == 3 * 280 + 900


def test_a_cart_can_be_changed() -> None:
    cart = cart_of((0, 2), (1, 1))
    cart.set_quantity(PRODUCTS[0], 0)
    assert [line.product.sku for line in cart] == ["COF-0002"]
    cart.put_in(PRODUCTS[1], 500)
    assert cart.count_pieces == MAX_PIECES
    cart.take_out("COF-0002")
    assert len(cart) == 0


@pytest.mark.parametrize(
    ("country", "grams", "goods", "fee"),
    [
        ("DE", 500, 10_00, 3_90),
        ("DE", 1_001, 10_00, 5_90),
        ("DE", 500, 50_00, 0),
        ("FR", 500, 500_00, 8_90),
        ("GB", 12_000, 10_00, 3 * 22_90),
    ],
)
def test_shipping_costs(country: str, grams: int, goods: int, fee: int) -> None:
    assert shipping_fee(country, grams, Money(goods)) == Money(fee)


def test_not_every_country_is_reached() -> None:
    with pytest.raises(NotDeliverable, match="AQ"):
        shipping_fee("AQ", 1, Money(1))


def test_a_bill_adds_up() -> None:
    cart = cart_of((2, 1), (5, 1))
    bill = draw_up_bill(cart, "DE", Coupon("HALF", percent_off=Decimal(50)))
    assert bill.goods == Money(10_60)
    assert bill.discount == Money(5_30)
    assert bill.shipping == Money(3_90)
    assert bill.total == Money(9_20)
    assert bill.tax == Money(24 + 27 + 62)


def test_a_bonus_is_a_share_of_the_bill() -> None:
    assert bonus_for(draw_up_bill(cart_of((4, 1)), "DE")) == Money(1_28)


def test_a_discount_is_never_more_than_the_goods() -> None:
    coupon = Coupon("LOT", amount_off=Money(100_00), only_category=Category.TEA)
    assert coupon.discount_for(cart_of((2, 1), (0, 1))) == Money(7_20)


def test_coupons_are_checked(database: Database, customer: Customer) -> None:
    ended = Coupon("SPRING", percent_off=Decimal(5), last_day=date(2026, 4, 30))
    book = CouponBook(database, [*COUPONS, ended])
    rich, poor = cart_of((4, 1)), cart_of((5, 1))
    assert book.check(" welcome ", rich, customer, TODAY).percent_off == 10
    for code, cart, why in (
        ("WELCOME", poor, "needs 20.00 €"),
        ("SPRING", rich, "ended on 30 April"),
        ("NONE", rich, "no such code"),
    ):
        with pytest.raises(CouponRejected, match=why):
            book.check(code, cart, customer, TODAY)

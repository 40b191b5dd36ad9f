"""Checkout: a cart becomes an order, is paid, and its goods are set aside."""

from __future__ import annotations

from dataclasses import dataclass

from shop.cart import Cart, CartLine
from shop.clock import Clock
from shop.customers.customer import Customer
from shop.database import Database
from shop.errors import ShopError
from shop.mail.outbox import Outbox
from shop.mail.templates import order_confirmation
from shop.orders.order import Order, OrderLine
from shop.orders.order_table import OrderTable
from shop.payments.gateway import Card, PaymentGateway
from shop.pricing.coupons import Coupon, CouponBook
from shop.pricing.totals import draw_up_bill
from shop.stock.warehouse import Warehouse


@dataclass(frozen=True)
class Checkout:
    """All that it takes to place an order."""

    database: Database
    orders: OrderTable
    warehouse: Warehouse
    coupons: CouponBook
    gateway: PaymentGateway
    outbox: Outbox
    clock: Clock

    def place_order(self, cart: Cart, customer: Customer, card: Card) -> Order:
        """Place and pay an order; if anything fails, nothing has happened.

        Raises:
            ShopError: the cart is empty, or something in it cannot be had.
            PaymentDeclined: the bank refused.
        """
        if not len(cart):
            raise ShopError("The cart is empty.")
        with self.database.transaction():
            order = self._new_order(cart, customer)
            for line in cart:
                self.warehouse.set_aside(line.product.sku, line.quantity)
            receipt = self.gateway.charge_card(card, order.amount_due, order.number)
            order = order.pay_by(receipt.reference)
            self.orders.update(order)
        self.outbox.send(order_confirmation(order, customer))
        cart.empty()
        return order

    def _new_order(self, cart: Cart, customer: Customer) -> Order:
        """Store the order of a cart, before it is paid."""
        coupon = self._coupon(cart, customer)
        bill = draw_up_bill(cart, customer.address.country, coupon)
        now = self.clock.now()
        order = Order(
            self.orders.next_number(now.year),
            customer.id,
            now,
            tuple(map(_order_line, cart)),
            customer.address,
            bill.discount,
            bill.shipping,
            bill.tax,
        )
        self.orders.add(order)
        if coupon is not None:
            self.coupons.record_use(coupon, customer, order.number)
        return order

    def _coupon(self, cart: Cart, customer: Customer) -> Coupon | None:
        if not cart.coupon_code:
            return None
        return self.coupons.check(cart.coupon_code, cart, customer, self.clock.now().date())


def _order_line(line: CartLine) -> OrderLine:
    product = line.product
    return OrderLine(product.sku, product.title, line.quantity, product.price, product.weight_grams)

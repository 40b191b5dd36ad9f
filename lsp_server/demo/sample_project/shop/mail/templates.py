"""What the mails to customers say."""

from __future__ import annotations

from shop.customers.customer import Customer
from shop.mail.outbox import Mail
from shop.money import Money
from shop.orders.order import Order

GREETING = "With kind regards,\nthe shop"


def order_confirmation(order: Order, customer: Customer) -> Mail:
    """Return the mail that lists what was ordered."""
    lines = [f"{line.quantity} x {line.title}: {line.price.format()}" for line in order.lines]
    if order.discount:
        lines.append(f"Coupon: {(-order.discount).format()}")
    lines.append(f"Shipping: {order.shipping.format()}")
    lines.append(f"Total: {order.amount_due.format()}, with {order.tax.format()} of tax")
    return _mail(customer, f"Your order {order.number}", lines)


def parcel_is_on_its_way(order: Order, customer: Customer) -> Mail:
    """Return the mail that tells how to follow a parcel."""
    place = f"{order.address.street}, {order.address.city}"
    lines = [f"Your parcel is on its way to {place}.", f"Follow it: {order.tracking_code}"]
    return _mail(customer, f"Order {order.number} has left us", lines)


def money_is_on_its_way(order: Order, customer: Customer, amount: Money) -> Mail:
    """Return the mail that tells what a customer gets back."""
    lines = [f"Thank you for sending back order {order.number}.", f"You get {amount.format()}."]
    return _mail(customer, f"Your return of order {order.number}", lines)


def _mail(customer: Customer, subject: str, lines: list[str]) -> Mail:
    body = "\n\n".join([customer.salutation, "\n".join(lines), GREETING])
    return Mail(customer.email, subject, body)

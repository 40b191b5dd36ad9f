"""Returns: goods come back, and so does the money for them."""

from __future__ import annotations

from datetime import datetime, timedelta

from shop.errors import ReturnRefused
from shop.money import Money
from shop.orders.order import Order, OrderStatus
from shop.payments.gateway import PaymentGateway
from shop.stock.warehouse import Warehouse

RETURN_PERIOD = timedelta(days=30)


def take_back(
    order: Order, gateway: PaymentGateway, warehouse: Warehouse, now: datetime
) -> tuple[Order, Money]:
    """Return the order as sent back, and what the customer gets.

    Raises:
        ReturnRefused: the order is too old.
    """
    if now - order.placed_at > RETURN_PERIOD:
        raise ReturnRefused(f"Order {order.number} is older than {RETURN_PERIOD.days} days.")
    returned = order.move_to(OrderStatus.SENT_BACK)
    for line in order.lines:
        warehouse.take_delivery(line.sku, line.quantity)
    amount = order.goods_total - order.discount
    gateway.credit_back(order.payment_reference, amount)
    return returned, amount

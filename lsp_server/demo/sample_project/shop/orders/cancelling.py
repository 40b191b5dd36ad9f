"""Cancelling: an order is called off before its parcel leaves."""

from __future__ import annotations

from shop.orders.order import Order, OrderStatus
from shop.payments.gateway import PaymentGateway
from shop.stock.warehouse import Warehouse


def call_off(order: Order, warehouse: Warehouse, gateway: PaymentGateway) -> Order:
    """Free the goods of an order, and give the money back if it was paid."""
    cancelled = order.move_to(OrderStatus.CALLED_OFF)
    for line in order.lines:
        warehouse.put_back(line.sku, line.quantity)
    if order.payment_reference:
        gateway.credit_back(order.payment_reference, order.amount_due)
    return cancelled

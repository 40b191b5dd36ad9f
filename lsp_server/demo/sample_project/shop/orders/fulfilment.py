"""Fulfilment: what is paid is packed and handed to the carrier."""

from __future__ import annotations

from shop.customers.customer import Customer
from shop.mail.outbox import Outbox
from shop.mail.templates import parcel_is_on_its_way
from shop.orders.order import Order, OrderStatus
from shop.shipping.carriers import Carrier
from shop.shipping.parcels import pack
from shop.stock.warehouse import Warehouse


def send_off(
    order: Order, customer: Customer, warehouse: Warehouse, carrier: Carrier, outbox: Outbox
) -> Order:
    """Pack a paid order, have it fetched, and tell the customer."""
    codes: list[str] = []
    for parcel in pack(order.lines):
        label = carrier.book_pickup(parcel, customer)
        codes.append(label.tracking_code)
    for line in order.lines:
        warehouse.hand_out(line.sku, line.quantity)
    sent = order.leave_with(", ".join(codes))
    outbox.send(parcel_is_on_its_way(sent, customer))
    return sent


def is_waiting(order: Order) -> bool:
    """Whether somebody has to pack an order."""
    return order.status is OrderStatus.READY_TO_PACK

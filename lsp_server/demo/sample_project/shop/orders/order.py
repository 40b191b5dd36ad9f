"""Orders, and the statuses that they go through."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from shop.customers.customer import Address
from shop.errors import WrongStatus
from shop.money import Money


class OrderStatus(str, Enum):
    """A step on the way of an order."""

    AWAITING_PAYMENT = "awaiting payment"
    READY_TO_PACK = "ready to pack"
    WITH_CARRIER = "with the carrier"
    HANDED_OVER = "handed over"
    CALLED_OFF = "called off"
    SENT_BACK = "sent back"


NEXT = {
    OrderStatus.AWAITING_PAYMENT: {OrderStatus.READY_TO_PACK, OrderStatus.CALLED_OFF},
    OrderStatus.READY_TO_PACK: {OrderStatus.WITH_CARRIER, OrderStatus.CALLED_OFF},
    OrderStatus.WITH_CARRIER: {OrderStatus.HANDED_OVER, OrderStatus.SENT_BACK},
    OrderStatus.HANDED_OVER: {OrderStatus.SENT_BACK},
    OrderStatus.CALLED_OFF: set[OrderStatus](),
    OrderStatus.SENT_BACK: set[OrderStatus](),
}


@dataclass(frozen=True)
class OrderLine:
    """Some pieces of one product, at the price of the day of the order."""

    sku: str
    title: str
    quantity: int
    unit_price: Money
    weight_grams: int

    @property
    def price(self) -> Money:
        """Price of all pieces."""
        return self.unit_price * self.quantity


@dataclass(frozen=True)
class Order:
    """What a customer ordered, and what became of it."""

    number: str
    customer_id: int
    placed_at: datetime
    lines: tuple[OrderLine, ...]
    address: Address
    discount: Money
    shipping: Money
    tax: Money
    status: OrderStatus = OrderStatus.AWAITING_PAYMENT
    payment_reference: str = ""
    tracking_code: str = ""

    @property
    def goods_total(self) -> Money:
        """Price of all goods."""
        return Money.total(line.price for line in self.lines)

    @property
    def amount_due(self) -> Money:
        """What the customer pays for all of it."""
        return self.goods_total - self.discount + self.shipping

    def move_to(self, status: OrderStatus) -> Order:
        """Return the order in its next status.

        Raises:
            WrongStatus: no step leads there.
        """
        if status not in NEXT[self.status]:
            allowed = [before.value for before, after in NEXT.items() if status in after]
            raise WrongStatus(self.number, self.status.value, " or ".join(allowed))
        return replace(self, status=status)

    def pay_by(self, reference: str) -> Order:
        """Return the order, paid."""
        return replace(self.move_to(OrderStatus.READY_TO_PACK), payment_reference=reference)

    def leave_with(self, tracking_code: str) -> Order:
        """Return the order, on its way."""
        return replace(self.move_to(OrderStatus.WITH_CARRIER), tracking_code=tracking_code)

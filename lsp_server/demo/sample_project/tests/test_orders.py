"""Orders, from checkout to return."""

import pytest
from shop.cart import Cart
from shop.clock import FixedClock
from shop.customers.customer import Customer
from shop.errors import (
    CouponRejected,
    OutOfStock,
    PaymentDeclined,
    ReturnRefused,
    ShopError,
    WrongStatus,
)
from shop.money import Money
from shop.orders.cancelling import call_off
from shop.orders.fulfilment import is_waiting, send_off
from shop.orders.order import Order, OrderStatus
from shop.orders.returns import take_back
from shop.payments.gateway import Card, PretendGateway
from shop.seed import PIECES, PRODUCTS
from shop.shipping.carriers import CountingCarrier
from shop.shipping.labels import label_text
from shop.shipping.parcels import MAX_GRAMS, pack
from shop.web.services import Services


@pytest.fixture
def cart() -> Cart:
    """Two bags of coffee and a grinder."""
    cart = Cart()
    cart.put_in(PRODUCTS[0], 2)
    cart.put_in(PRODUCTS[4])
    return cart


@pytest.fixture
def order(services: Services, cart: Cart, customer: Customer, card: Card) -> Order:
    """An order that was just paid."""
    return services.checkout.place_order(cart, customer, card)


def test_an_order_is_stored_and_paid(services: Services, order: Order, cart: Cart) -> None:
    assert services.orders.by_number("2026-000001") == order
    assert order.status is OrderStatus.READY_TO_PACK
    assert order.amount_due == Money(2 * 12_90 + 64_00)
    assert services.warehouse.level("COF-0001").free == PIECES - 2
    assert len(cart) == 0
    assert len(services.outbox) == 1


def test_numbers_count_up(
    services: Services, order: Order, cart: Cart, customer: Customer, card: Card
) -> None:
    cart.put_in(PRODUCTS[1])
    second = services.checkout.place_order(cart, customer, card)
    assert (order.number, second.number) == ("2026-000001", "2026-000002")
    assert services.orders.of_customer(customer.id) == [second, order]


def test_an_empty_cart_is_no_order(services: Services, customer: Customer, card: Card) -> None:
    with pytest.raises(ShopError, match="empty"):
        services.checkout.place_order(Cart(), customer, card)


def test_a_declined_card_leaves_no_trace(
    services: Services, cart: Cart, customer: Customer
) -> None:
    with pytest.raises(PaymentDeclined, match="0000"):
        services.checkout.place_order(cart, customer, Card("declined", "0000"))
    assert services.orders.of_customer(customer.id) == []
    assert services.warehouse.level("COF-0001").reserved == 0
    assert len(cart) == 2


def test_more_than_there_is_cannot_be_ordered(
    services: Services, cart: Cart, customer: Customer, card: Card
) -> None:
    cart.put_in(PRODUCTS[1], PIECES + 1)
    with pytest.raises(OutOfStock, match=f"{PIECES} are left, not {PIECES + 1}"):
        services.checkout.place_order(cart, customer, card)
    assert services.warehouse.level("COF-0001").reserved == 0


def test_a_coupon_is_used_once(
    services: Services, cart: Cart, customer: Customer, card: Card
) -> None:
    cart.coupon_code = "WELCOME"
    order = services.checkout.place_order(cart, customer, card)
    assert order.discount == Money(8_98)
    cart.put_in(PRODUCTS[4])
    cart.coupon_code = "WELCOME"
    with pytest.raises(CouponRejected, match="used it"):
        services.checkout.place_order(cart, customer, card)


def test_a_parcel_leaves(
    services: Services, order: Order, customer: Customer, carrier: CountingCarrier
) -> None:
    assert is_waiting(order)
    sent = send_off(order, customer, services.warehouse, carrier, services.outbox)
    assert sent.tracking_code == "DE00000001"
    assert label_text(customer, "DE00000001") == "Ada\nLindenweg 4\n24103 Kiel\nDE\n\nDE00000001"
    assert services.warehouse.level("COF-0001").on_hand == PIECES - 2
    assert len(services.outbox) == 2
    with pytest.raises(WrongStatus, match="ready to pack"):
        send_off(sent, customer, services.warehouse, carrier, services.outbox)


def test_what_is_called_off_is_free_again(
    services: Services, order: Order, gateway: PretendGateway
) -> None:
    cancelled = call_off(order, services.warehouse, gateway)
    assert cancelled.status is OrderStatus.CALLED_OFF
    assert services.warehouse.level("COF-0001").free == PIECES
    assert [receipt.amount for receipt in gateway.receipts.values()] == [
        order.amount_due,
        -order.amount_due,
    ]


def test_goods_come_back(
    services: Services,
    order: Order,
    customer: Customer,
    carrier: CountingCarrier,
    gateway: PretendGateway,
    clock: FixedClock,
) -> None:
    sent = send_off(order, customer, services.warehouse, carrier, services.outbox)
    clock.advance(days=29)
    returned, amount = take_back(sent, gateway, services.warehouse, clock.now())
    assert (returned.status, amount) == (OrderStatus.SENT_BACK, Money(89_80))
    assert services.warehouse.level("BRE-0001").on_hand == PIECES
    clock.advance(days=2)
    with pytest.raises(ReturnRefused, match="older than 30 days"):
        take_back(sent, gateway, services.warehouse, clock.now())


def test_parcels_are_not_too_heavy(services: Services, customer: Customer, card: Card) -> None:
    cart = Cart()
    cart.put_in(PRODUCTS[4], 35)
    cart.put_in(PRODUCTS[0], 3)
    parcels = pack(services.checkout.place_order(cart, customer, card).lines)
    assert [len(parcel.skus) for parcel in parcels] == [36, 2]
    assert all(parcel.weight_grams <= MAX_GRAMS for parcel in parcels)

"""All parts of a shop, put together."""

from __future__ import annotations

from dataclasses import dataclass

from shop.catalog.product_table import ProductTable
from shop.catalog.search import SearchIndex
from shop.clock import Clock
from shop.customers.accounts import Accounts
from shop.database import Database
from shop.mail.outbox import Outbox
from shop.orders.checkout import Checkout
from shop.orders.order_table import OrderTable
from shop.payments.gateway import PaymentGateway
from shop.pricing.coupons import CouponBook
from shop.shipping.carriers import Carrier
from shop.stock.warehouse import Warehouse


@dataclass(frozen=True)
class Services:
    """What the pages work with."""

    products: ProductTable
    search: SearchIndex
    accounts: Accounts
    orders: OrderTable
    warehouse: Warehouse
    checkout: Checkout
    gateway: PaymentGateway
    carrier: Carrier
    outbox: Outbox
    clock: Clock


def open_shop(
    database: Database,
    coupons: CouponBook,
    gateway: PaymentGateway,
    carrier: Carrier,
    clock: Clock,
) -> Services:
    """Return the parts of a shop over a database."""
    products, orders = ProductTable(database), OrderTable(database)
    warehouse, outbox = Warehouse(database), Outbox()
    return Services(
        products,
        SearchIndex(products.listed()),
        Accounts(database),
        orders,
        warehouse,
        Checkout(database, orders, warehouse, coupons, gateway, outbox, clock),
        gateway,
        carrier,
        outbox,
        clock,
    )

"""A shop with goods, a customer, and a time that stands still."""

from datetime import datetime, timezone

import pytest
from shop.clock import FixedClock
from shop.customers.customer import Address, Customer
from shop.database import Database
from shop.payments.gateway import Card, PretendGateway
from shop.pricing.coupons import CouponBook
from shop.seed import COUPONS, stock_up
from shop.shipping.carriers import CountingCarrier
from shop.web.services import Services, open_shop


@pytest.fixture
def clock() -> FixedClock:
    """The third of May."""
    return FixedClock(datetime(2026, 5, 3, 9, 30, tzinfo=timezone.utc))


@pytest.fixture
def database() -> Database:
    """A database with goods."""
    database = Database()
    stock_up(database)
    return database


@pytest.fixture
def gateway() -> PretendGateway:
    """A payment service that moves no money."""
    return PretendGateway()


@pytest.fixture
def carrier() -> CountingCarrier:
    """A carrier that counts its parcels."""
    return CountingCarrier()


@pytest.fixture
def services(
    database: Database, gateway: PretendGateway, carrier: CountingCarrier, clock: FixedClock
) -> Services:
    """All parts of the shop."""
    return open_shop(database, CouponBook(database, COUPONS), gateway, carrier, clock)


@pytest.fixture
def customer(services: Services) -> Customer:
    """A customer in the home country."""
    address = Address("Lindenweg 4", "24103", "Kiel", "DE")
    return services.accounts.register("Ada@Example.org", "Ada", "a long passphrase", address)


@pytest.fixture
def card() -> Card:
    """A card that is accepted."""
    return Card("tok-1", "4242")

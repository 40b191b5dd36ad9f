"""Sales and stock reports."""

from datetime import timedelta

import pytest
from shop.cart import Cart
from shop.clock import FixedClock
from shop.customers.customer import Customer
from shop.money import Money
from shop.orders.cancelling import call_off
from shop.payments.gateway import Card
from shop.reports.csv_export import days_as_csv, orders_as_csv
from shop.reports.sales import SalesReport, report_sales
from shop.seed import PRODUCTS
from shop.stock.reordering import reorder_list
from shop.web.services import Services


@pytest.fixture
def report(services: Services, customer: Customer, card: Card, clock: FixedClock) -> SalesReport:
    """Three orders on two days, of which the last was called off."""
    for count in (1, 2, 3):
        cart = Cart()
        cart.put_in(PRODUCTS[4], count)
        order = services.checkout.place_order(cart, customer, card)
        clock.advance(hours=12)
    services.orders.update(call_off(order, services.warehouse, services.gateway))
    now = clock.now()
    return report_sales(services.orders.placed_between(now - timedelta(days=9), now))


def test_sales_leave_out_what_was_called_off(report: SalesReport) -> None:
    assert (report.n_orders, report.revenue) == (2, Money(3 * 64_00))
    assert report.average_order == Money(96_00)
    assert report.best_sellers() == [("BRE-0001", 3)]
    assert [str(day) for day in report.by_day] == ["2026-05-03"]


def test_reports_can_be_taken_to_a_spreadsheet(report: SalesReport, services: Services) -> None:
    assert days_as_csv(report) == "day,revenue\n2026-05-03,192.00 €\n"
    rows = orders_as_csv(services.orders.of_customer(1)).splitlines()
    assert rows[0] == "number,placed at,status,country,goods,shipping,total"
    assert rows[-1] == "2026-000001,2026-05-03 09:30,ready to pack,DE,64.00 €,0.00 €,64.00 €"


def test_what_runs_low_is_listed(services: Services) -> None:
    services.warehouse.set_aside("TEA-0001", 36)
    services.warehouse.set_aside("TEA-0002", 38)
    assert reorder_list(services.warehouse) == ["TEA-0002: 2 left", "TEA-0001: 4 left"]

"""Pages for the people who work in the shop."""

from __future__ import annotations

from datetime import timedelta

from shop.orders.cancelling import call_off
from shop.orders.fulfilment import send_off
from shop.orders.order import OrderStatus
from shop.reports.csv_export import orders_as_csv
from shop.reports.sales import report_sales
from shop.stock.reordering import reorder_list
from shop.web.forms import check_token, form
from shop.web.html import Markup, table, tag
from shop.web.layout import page
from shop.web.request import Request
from shop.web.response import Response, as_download, not_found, see_other
from shop.web.router import Router
from shop.web.services import Services

REPORTED = timedelta(days=30)


class OfficePages:
    """Shows what is to do, and how the shop does.

    Args:
        services: the parts of the shop.
        staff: e-mail addresses of those who may see it.
    """

    def __init__(self, services: Services, staff: frozenset[str]) -> None:
        self._services = services
        self._staff = staff

    def add_to(self, router: Router) -> None:
        """Add the routes."""
        router.add("GET", "/office", self.overview)
        router.add("GET", "/office/orders.csv", self.export)
        router.add("POST", "/office/<number>/send", self.send)
        router.add("POST", "/office/<number>/cancel", self.cancel)

    def overview(self, request: Request) -> Response:
        """Show sales, what runs low, and what is to be packed."""
        if not self._may_enter(request):
            return not_found("There is no page /office.")
        now = self._services.clock.now()
        sales = report_sales(self._services.orders.placed_between(now - REPORTED, now))
        return page(
            request,
            "Office",
            tag("p", f"{sales.n_orders} orders, {sales.revenue.format()} in 30 days"),
            tag("ul", *(tag("li", f"{sku}: {n} sold") for sku, n in sales.best_sellers())),
            self._scarce(),
            self._to_pack(request),
        )

    def export(self, request: Request) -> Response:
        """Return the orders of the last days as a file."""
        if not self._may_enter(request):
            return not_found("There is no page /office.")
        now = self._services.clock.now()
        orders = self._services.orders.placed_between(now - REPORTED, now)
        return as_download(orders_as_csv(orders), f"orders-{now:%Y-%m-%d}.csv")

    def send(self, request: Request) -> Response:
        """Pack an order and hand it to the carrier."""
        check_token(request)
        services = self._services
        order = services.orders.by_number(request.matched["number"])
        customer = services.accounts.by_id(order.customer_id)
        if not self._may_enter(request) or customer is None:
            return not_found("There is no such order.")
        sent = send_off(order, customer, services.warehouse, services.carrier, services.outbox)
        services.orders.update(sent)
        return see_other("/office")

    def cancel(self, request: Request) -> Response:
        """Call an order off."""
        check_token(request)
        if not self._may_enter(request):
            return not_found("There is no such order.")
        order = self._services.orders.by_number(request.matched["number"])
        cancelled = call_off(order, self._services.warehouse, self._services.gateway)
        self._services.orders.update(cancelled)
        return see_other("/office")

    def _may_enter(self, request: Request) -> bool:
        customer = request.session.customer
        return customer is not None and customer.email in self._staff

    def _scarce(self) -> Markup:
        lines = reorder_list(self._services.warehouse)
        return tag("ul", *(tag("li", line) for line in lines), class_="scarce")

    def _to_pack(self, request: Request) -> Markup:
        orders = self._services.orders.in_status(OrderStatus.READY_TO_PACK)
        rows = (
            (order.number, form(request, f"/office/{order.number}/send", "Send off"))
            for order in orders
        )
        return table(("to pack", ""), rows)

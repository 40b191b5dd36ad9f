"""Pages on which an order is paid and placed."""

from __future__ import annotations

from shop.errors import PaymentDeclined
from shop.payments.gateway import Card
from shop.pricing.totals import draw_up_bill
from shop.web.forms import FormReader, check_token, form, labelled
from shop.web.html import join, tag
from shop.web.layout import page
from shop.web.request import Request
from shop.web.response import Response, see_other
from shop.web.router import Router
from shop.web.services import Services


class CheckoutPages:
    """Turns carts into orders."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def add_to(self, router: Router) -> None:
        """Add the routes."""
        router.add("GET", "/checkout", self.review)
        router.add("POST", "/checkout", self.place)
        router.add("GET", "/thanks/<number>", self.thank)

    def review(self, request: Request) -> Response:
        """Show the bill and ask for the card."""
        customer, cart = request.session.customer, request.session.cart
        if customer is None or not len(cart):
            return see_other("/account" if customer is None else "/cart")
        bill = draw_up_bill(cart, customer.address.country)
        lines = [tag("p", line) for line in customer.address.as_lines(customer.name)]
        total = tag("p", f"Total: {bill.total.format()}, with {bill.tax.format()} of tax")
        fields = [labelled("Card", "token"), labelled("Last digits", "digits")]
        return page(
            request, "Check out", join(lines), total, form(request, "/checkout", "Pay", *fields)
        )

    def place(self, request: Request) -> Response:
        """Place the order."""
        check_token(request)
        session = request.session
        if session.customer is None:
            return see_other("/account")
        reader = FormReader(request.form)
        card = Card(reader.text("token"), reader.text("digits", 4))
        reader.finish()
        try:
            order = self._services.checkout.place_order(session.cart, session.customer, card)
        except PaymentDeclined as error:
            session.notify(str(error))
            return see_other("/checkout")
        return see_other(f"/thanks/{order.number}")

    def thank(self, request: Request) -> Response:
        """Show the number of the order."""
        number = request.matched["number"]
        return page(request, "Thank you", tag("p", f"Your order has the number {number}."))

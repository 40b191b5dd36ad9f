"""Pages of a customer's account."""

from __future__ import annotations

from shop.customers.customer import Customer
from shop.mail.templates import money_is_on_its_way
from shop.orders.returns import take_back
from shop.web.forms import FormReader, address_fields, check_token, form, labelled
from shop.web.html import Markup, table, tag
from shop.web.layout import page
from shop.web.request import Request
from shop.web.response import Response, not_found, see_other
from shop.web.router import Router
from shop.web.services import Services


class AccountPages:
    """Lets customers in, and shows them their orders."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def add_to(self, router: Router) -> None:
        """Add the routes."""
        router.add("GET", "/account", self.show)
        router.add("POST", "/login", self.log_in)
        router.add("POST", "/register", self.register)
        router.add("POST", "/logout", self.log_out)
        router.add("POST", "/orders/<number>/return", self.send_back)

    def show(self, request: Request) -> Response:
        """Show the orders of who is logged in, or the forms to log in and to register."""
        customer = request.session.customer
        if customer is not None:
            return page(request, "Your orders", self._orders(request, customer))
        access = [labelled("E-mail", "email"), labelled("Password", "password", "password")]
        person = [labelled("Name", "name"), address_fields()]
        return page(
            request,
            "Your account",
            form(request, "/login", "Log in", *access),
            form(request, "/register", "Register", *access, *person),
        )

    def log_in(self, request: Request) -> Response:
        """Let a customer in."""
        check_token(request)
        reader = FormReader(request.form)
        email, password = reader.email("email"), reader.text("password")
        reader.finish()
        request.session.customer = self._services.accounts.log_in(email, password)
        return see_other("/account")

    def register(self, request: Request) -> Response:
        """Open an account."""
        check_token(request)
        reader = FormReader(request.form)
        email, name = reader.email("email"), reader.text("name")
        password, address = reader.new_password("password"), reader.address()
        reader.finish()
        if self._services.accounts.has(email):
            request.session.notify("This address has an account; please log in.")
            return see_other("/account")
        accounts = self._services.accounts
        request.session.customer = accounts.register(email, name, password, address)
        return see_other("/account")

    def log_out(self, request: Request) -> Response:
        """Forget who the visitor is."""
        check_token(request)
        request.session.customer = None
        return see_other("/")

    def send_back(self, request: Request) -> Response:
        """Take an order back."""
        check_token(request)
        customer, services = request.session.customer, self._services
        order = services.orders.by_number(request.matched["number"])
        if customer is None or order.customer_id != customer.id:
            return not_found("You have no such order.")
        order, amount = take_back(order, services.gateway, services.warehouse, services.clock.now())
        services.orders.update(order)
        services.outbox.send(money_is_on_its_way(order, customer, amount))
        return see_other("/account")

    def _orders(self, request: Request, customer: Customer) -> Markup:
        orders = self._services.orders.of_customer(customer.id)
        rows = (
            (
                order.number,
                order.status.value,
                order.amount_due.format(),
                form(request, f"/orders/{order.number}/return", "Send back"),
            )
            for order in orders
        )
        greeting = tag("p", customer.salutation)
        return tag("div", greeting, table(("number", "status", "total", ""), rows))

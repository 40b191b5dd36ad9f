"""The page of the cart."""

from __future__ import annotations

from shop.pricing.bonus import bonus_for
from shop.pricing.totals import draw_up_bill
from shop.shipping.tariffs import FREE_FROM
from shop.web.forms import FormReader, check_token, form, labelled
from shop.web.html import Markup, join, table, tag
from shop.web.layout import page
from shop.web.request import Request
from shop.web.response import Response, see_other
from shop.web.router import Router
from shop.web.services import Services


class CartPages:
    """Shows and changes the cart."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def add_to(self, router: Router) -> None:
        """Add the routes."""
        router.add("GET", "/cart", self.show)
        router.add("POST", "/cart/<sku>", self.put_in)
        router.add("POST", "/cart/<sku>/remove", self.take_out)
        router.add("POST", "/coupon", self.redeem)

    def show(self, request: Request) -> Response:
        """Show what is in the cart, and what it costs."""
        cart = request.session.cart
        if not len(cart):
            return page(request, "Your cart", tag("p", "It is empty."))
        rows = ((str(line.quantity), line.product.title, line.price.format()) for line in cart)
        coupon = form(request, "/coupon", "Redeem", labelled("Coupon", "code"))
        return page(
            request,
            "Your cart",
            table(("pieces", "product", "price"), rows),
            self._costs(request),
            coupon,
            tag("a", "Check out", href="/checkout"),
        )

    def put_in(self, request: Request) -> Response:
        """Put some pieces of a product into the cart."""
        check_token(request)
        reader = FormReader(request.form)
        pieces = reader.number("pieces", least=1)
        reader.finish()
        product = self._services.products.by_sku(request.matched["sku"])
        request.session.cart.put_in(product, pieces)
        request.session.notify(f"{product.title} is in your cart.")
        return see_other("/cart")

    def take_out(self, request: Request) -> Response:
        """Take a product out of the cart."""
        check_token(request)
        request.session.cart.take_out(request.matched["sku"])
        return see_other("/cart")

    def redeem(self, request: Request) -> Response:
        """Note a coupon; whether it can be used is checked with the order."""
        check_token(request)
        request.session.cart.coupon_code = request.form.get("code", "").strip().upper()
        return see_other("/cart")

    def _costs(self, request: Request) -> Markup:
        cart, customer = request.session.cart, request.session.customer
        if customer is None:
            return tag("p", f"Goods: {cart.goods_total.format()}")
        bill = draw_up_bill(cart, customer.address.country)
        missing = FREE_FROM - bill.goods
        hint = f" ({missing.format()} more, and it is free)" if bill.shipping else ""
        bonus = bonus_for(bill)
        return join(
            [
                tag("p", f"Total: {bill.total.format()}, shipping {bill.shipping.format()}{hint}"),
                tag("p", f"Your bonus: {bonus.format()}"),
            ]
        )

"""The pages, as a browser sees them."""

import io
import re
from http import HTTPStatus

import pytest
from shop.customers.customer import Customer
from shop.web.app import App
from shop.web.html import tag
from shop.web.request import Request
from shop.web.response import Response
from shop.web.services import Services
from shop.web.sessions import COOKIE


class Browser:
    """Follows redirects, keeps the cookie, and sends forms with their token."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._cookies: dict[str, str] = {}
        self._token = ""

    def get(self, path: str, **query: str) -> Response:
        return self._send(Request("GET", path, query, cookies=self._cookies))

    def post(self, path: str, **fields: str) -> Response:
        form = {"form_token": self._token, **fields}
        return self._send(Request("POST", path, form=form, cookies=self._cookies))

    def _send(self, request: Request) -> Response:
        response = self._app.respond(request)
        name, _, value = response.headers["Set-Cookie"].partition(";")[0].partition("=")
        self._cookies = {name: value}
        if match := re.search(r'name="form_token" value="([^"]+)"', response.body):
            self._token = match[1]
        if response.status is HTTPStatus.SEE_OTHER:
            return self.get(response.headers["Location"])
        return response


@pytest.fixture
def browser(services: Services) -> Browser:
    return Browser(App(services, {"ada@example.org"}))


@pytest.fixture
def inside(browser: Browser, customer: Customer) -> Browser:
    """A browser whose user is logged in."""
    browser.get("/account")
    browser.post("/login", email=customer.email, password="a long passphrase")
    return browser


def test_the_front_page_lists_all_goods(browser: Browser) -> None:
    body = browser.get("/").body
    assert "<title>Welcome - Leaf &amp; Bean</title>" in body
    assert body.count('href="/product/') == 8


def test_a_shelf_and_a_product(browser: Browser) -> None:
    assert "Sencha" in browser.get("/shelf/tea").body
    assert browser.get("/shelf/shoes").status is HTTPStatus.NOT_FOUND
    assert "7.20 €, 40 in stock" in browser.get("/product/TEA-0001").body
    assert browser.get("/product/TEA-9999").status is HTTPStatus.NOT_FOUND


def test_search_shows_the_query_escaped(browser: Browser) -> None:
    assert "1 found for “grinder”" in browser.get("/search", q="grinder").body
    assert "&lt;b&gt;" in browser.get("/search", q="<b>").body


def test_a_visitor_orders(inside: Browser, services: Services, customer: Customer) -> None:
    inside.get("/product/TEA-0001")
    assert "Sencha is in your cart." in inside.post("/cart/TEA-0001", pieces="2").body
    assert "Total: 18.30 €" in inside.get("/checkout").body
    thanks = inside.post("/checkout", token="tok-1", digits="4242")
    assert "2026-000001" in thanks.body
    assert [order.number for order in services.orders.of_customer(customer.id)] == ["2026-000001"]
    assert "ready to pack" in inside.get("/account").body


def test_a_declined_card_is_told(inside: Browser) -> None:
    inside.get("/product/TEA-0001")
    inside.post("/cart/TEA-0001", pieces="1")
    inside.get("/checkout")
    assert "was declined" in inside.post("/checkout", token="declined", digits="0000").body


def test_a_form_of_another_site_is_refused(inside: Browser) -> None:
    response = inside.post("/logout", form_token="guessed")
    assert response.status is HTTPStatus.CONFLICT
    assert "Your orders" in inside.get("/account").body


def test_registering(browser: Browser) -> None:
    browser.get("/account")
    fields = {"email": "bob@example.org", "name": "Bob", "street": "Main St 1"}
    place = {"postcode": "1011", "city": "Amsterdam", "country": "nl"}
    weak = browser.post("/register", **fields, **place, password="short")
    assert "Please check: password" in weak.body
    strong = browser.post("/register", **fields, **place, password="a fine passphrase")
    assert "Dear Bob," in strong.body


def test_wrong_passwords_are_refused(browser: Browser, customer: Customer) -> None:
    browser.get("/account")
    response = browser.post("/login", email=customer.email, password="wrong")
    assert response.status is HTTPStatus.FORBIDDEN


def test_the_office_is_for_staff(browser: Browser) -> None:
    assert browser.get("/office").status is HTTPStatus.NOT_FOUND


def test_the_office_sends_parcels(inside: Browser, services: Services) -> None:
    inside.get("/product/TEA-0001")
    inside.post("/cart/TEA-0001", pieces="38")
    inside.get("/checkout")
    inside.post("/checkout", token="tok-1", digits="4242")
    office = inside.get("/office").body
    assert "<li>TEA-0001: 2 left</li>" in office
    inside.post("/office/2026-000001/send")
    assert "with the carrier" in inside.get("/account").body
    assert services.warehouse.level("TEA-0001").on_hand == 2


def test_text_in_html_is_escaped() -> None:
    assert tag("p", tag("b", "a < b"), class_="x") == '<p class="x"><b>a &lt; b</b></p>'


def test_a_wsgi_server_can_run_it(services: Services) -> None:
    started: list[str] = []

    def start_response(status: str, headers: list[tuple[str, str]]) -> None:
        started.append(status)
        assert dict(headers)["Content-Type"].startswith("text/html")

    body = b"pieces=1"
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/cart/TEA-0001",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_COOKIE": f"{COOKIE}=unknown",
        "wsgi.input": io.BytesIO(body),
    }
    (page,) = App(services)(environ, start_response)
    assert started == ["409 Conflict"]
    assert b"form_token" in page

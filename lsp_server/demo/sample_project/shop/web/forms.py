"""Forms: fields, their checks, and what is wrong with them."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import NoReturn

from shop.customers.customer import Address, is_email
from shop.customers.passwords import is_strong
from shop.errors import InvalidForm
from shop.shipping.tariffs import ZONES
from shop.web.html import Markup, join, tag, void
from shop.web.request import Request

TOKEN_FIELD = "form_token"


class FormReader:
    """Reads fields and collects what is wrong with them."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields
        self._problems: dict[str, str] = {}

    def text(self, name: str, longest: int = 200) -> str:
        """Return a field that has to be filled in."""
        value = self._fields.get(name, "").strip()
        if not value:
            self._problems[name] = "is missing"
        elif len(value) > longest:
            self._problems[name] = f"is longer than {longest} characters"
        return value

    def number(self, name: str, least: int = 0) -> int:
        """Return a field that has to be a whole number."""
        value = self.text(name)
        if value.isdecimal() and int(value) >= least:
            return int(value)
        self._problems.setdefault(name, f"is no number from {least} on")
        return least

    def email(self, name: str) -> str:
        """Return a field that has to be an e-mail address."""
        value = self.text(name)
        if value and not is_email(value):
            self._problems[name] = "is no e-mail address"
        return value

    def new_password(self, name: str) -> str:
        """Return a field that has to be a password that is hard to guess."""
        value = self.text(name)
        if value and not is_strong(value):
            self._problems[name] = "is too easy to guess"
        return value

    def address(self) -> Address:
        """Return the address that several fields make."""
        country = self.text("country", 2).upper()
        if country and country not in ZONES:
            self._problems["country"] = "is none that we deliver to"
        return Address(self.text("street"), self.text("postcode", 12), self.text("city"), country)

    def finish(self) -> None:
        """Raise InvalidForm if anything was wrong."""
        if self._problems:
            raise InvalidForm(self._problems)


def check_token(request: Request) -> None:
    """Refuse a form that another site sent in a visitor's name."""
    sent = request.form.get(TOKEN_FIELD, "")
    if not hmac.compare_digest(sent.encode(), request.session.form_token.encode()):
        _refuse()


def form(request: Request, action: str, button: str, *fields: Markup) -> Markup:
    """Return a form with its token and its button."""
    token = void("input", type="hidden", name=TOKEN_FIELD, value=request.session.form_token)
    sender = tag("button", button, type="submit")
    return tag("form", token, *fields, sender, action=action, method="post")


def labelled(label: str, name: str, kind: str = "text", value: str = "") -> Markup:
    """Return a field with its label."""
    return tag("label", label, void("input", type=kind, name=name, value=value))


def address_fields(address: Address | None = None) -> Markup:
    """Return the fields of an address."""
    known = address or Address("", "", "", "")
    return join(
        [
            labelled("Street", "street", value=known.street),
            labelled("Postcode", "postcode", value=known.postcode),
            labelled("City", "city", value=known.city),
            labelled("Country", "country", value=known.country),
        ]
    )


def _refuse() -> NoReturn:
    raise InvalidForm({TOKEN_FIELD: "is old; please send the form again"})

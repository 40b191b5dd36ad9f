"""Sessions: what the shop remembers of a visitor between two requests."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from shop.cart import Cart
from shop.customers.customer import Customer

COOKIE = "shop_session"
MAX_SESSIONS = 10_000


@dataclass
class Session:
    """A visitor, with or without an account."""

    key: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    """Token that forms have to send back, as other sites do not know it."""
    cart: Cart = field(default_factory=Cart)
    customer: Customer | None = None
    notices: list[str] = field(default_factory=list[str])

    def notify(self, text: str) -> None:
        """Have a text shown on the next page."""
        self.notices.append(text)

    def take_notices(self) -> list[str]:
        """Return the texts to show, and forget them."""
        taken, self.notices = self.notices, []
        return taken


class Sessions:
    """All sessions; the oldest end when there are too many."""

    def __init__(self) -> None:
        self._by_key: dict[str, Session] = {}

    def resume(self, key: str) -> Session:
        """Return the session with a key; a new one if there is none."""
        session = self._by_key.get(key)
        if session is None:
            session = Session()
            self._by_key[session.key] = session
            if len(self._by_key) > MAX_SESSIONS:
                del self._by_key[next(iter(self._by_key))]
        return session

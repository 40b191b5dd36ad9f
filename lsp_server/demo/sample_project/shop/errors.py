"""Errors of the shop. Their messages may be shown to customers."""


class ShopError(Exception):
    """Base of all errors that a customer or an employee can cause."""


class UnknownProduct(ShopError):
    """No product has this article number."""

    def __init__(self, sku: str) -> None:
        super().__init__(f"There is no article {sku}.")
        self.sku = sku


class OutOfStock(ShopError):
    """Fewer pieces are free than were wanted."""

    def __init__(self, sku: str, wanted: int, available: int) -> None:
        super().__init__(f"Of article {sku}, {available} are left, not {wanted}.")
        self.sku = sku
        self.wanted = wanted
        self.available = available


class CouponRejected(ShopError):
    """A coupon cannot be used for this cart."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"Coupon {code} cannot be used: {why}.")
        self.code = code
        self.why = why


class PaymentDeclined(ShopError):
    """The bank refused a payment."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The payment was declined: {why}.")
        self.why = why


class WrongStatus(ShopError):
    """An order is not in the status that a step needs."""

    def __init__(self, order_number: str, status: str, needed: str) -> None:
        super().__init__(f"Order {order_number} is {status}; it has to be {needed}.")
        self.order_number = order_number
        self.status = status
        self.needed = needed


class ReturnRefused(ShopError):
    """Goods cannot be sent back."""


class NotDeliverable(ShopError):
    """No carrier takes a parcel to this country."""

    def __init__(self, country: str) -> None:
        super().__init__(f"We do not deliver to {country}.")
        self.country = country


class LoginFailed(ShopError):
    """E-mail address or password are wrong; which one is not told."""

    def __init__(self) -> None:
        super().__init__("E-mail address or password are wrong.")


class InvalidForm(ShopError):
    """Fields of a form are missing or malformed."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("Please check: " + ", ".join(problems))
        self.problems = problems

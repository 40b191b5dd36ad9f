"""Serves the shop on this machine."""

from pathlib import Path
from wsgiref.simple_server import make_server

from shop.clock import Clock
from shop.database import Database
from shop.payments.gateway import PretendGateway
from shop.pricing.coupons import CouponBook
from shop.seed import COUPONS, stock_up
from shop.shipping.carriers import CountingCarrier
from shop.web.app import App
from shop.web.services import open_shop

ADDRESS = ("127.0.0.1", 8000)


def main() -> None:
    """Serve until somebody presses Ctrl-C."""
    database = Database(Path("shop.sqlite"))
    stock_up(database)
    coupons = CouponBook(database, COUPONS)
    services = open_shop(database, coupons, PretendGateway(), CountingCarrier(), Clock())
    with make_server(*ADDRESS, App(services, {"owner@example.org"})) as server:
        print(f"The shop is open: http://{ADDRESS[0]}:{ADDRESS[1]}")
        server.serve_forever()


if __name__ == "__main__":
    main()

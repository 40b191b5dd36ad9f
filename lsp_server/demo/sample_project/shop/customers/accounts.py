"""Accounts of customers in the database."""

from __future__ import annotations

import sqlite3

from shop.customers.customer import Address, Customer
from shop.customers.passwords import hash_password, is_password
from shop.database import Database
from shop.errors import LoginFailed

UNKNOWN = hash_password("somebody who has no account")


class Accounts:
    """Opens accounts, and lets their owners in.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, email: str, name: str, password: str, address: Address) -> Customer:
        """Open an account."""
        number = self._database.insert(
            "insert into customers (email, name, password_hash, street, postcode, city, country)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            email.lower(),
            name,
            hash_password(password),
            address.street,
            address.postcode,
            address.city,
            address.country,
        )
        return Customer(number, email.lower(), name, address)

    def log_in(self, email: str, password: str) -> Customer:
        """Return the customer with this address and password.

        Raises:
            LoginFailed: there is none.
        """
        row = self._database.row("select * from customers where email = ?", email.lower())
        stored = UNKNOWN if row is None else row["password_hash"]
        if not is_password(password, stored) or row is None:
            raise LoginFailed
        return _customer(row)

    def by_id(self, number: int) -> Customer | None:
        """Return the customer with a number, if there is one."""
        row = self._database.row("select * from customers where id = ?", number)
        return None if row is None else _customer(row)

    def has(self, email: str) -> bool:
        """Whether there is an account with this address."""
        return bool(self._database.row("select 1 from customers where email = ?", email.lower()))

    def move(self, customer: Customer, address: Address) -> Customer:
        """Store a customer's new address."""
        self._database.execute(
            "update customers set street = ?, postcode = ?, city = ?, country = ? where id = ?",
            address.street,
            address.postcode,
            address.city,
            address.country,
            customer.id,
        )
        return Customer(customer.id, customer.email, customer.name, address)


def _customer(row: sqlite3.Row) -> Customer:
    address = Address(row["street"], row["postcode"], row["city"], row["country"])
    return Customer(row["id"], row["email"], row["name"], address)

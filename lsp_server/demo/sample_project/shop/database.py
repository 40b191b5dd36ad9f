"""The shop's database: SQLite, with a schema that is brought up to date when it is opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

MIGRATIONS = (
    """
    create table products (
        sku text primary key,
        title text not null,
        description text not null,
        category text not null,
        price_cents integer not null,
        currency text not null,
        weight_grams integer not null,
        tax_class text not null,
        is_listed integer not null default 1
    );
    create table stock (
        sku text primary key references products (sku),
        on_hand integer not null,
        reserved integer not null default 0
    );
    """,
    """
    create table customers (
        id integer primary key,
        email text not null unique,
        name text not null,
        password_hash text not null,
        street text not null,
        postcode text not null,
        city text not null,
        country text not null
    );
    create table orders (
        number text primary key,
        customer_id integer not null references customers (id),
        status text not null,
        placed_at text not null,
        currency text not null,
        discount_cents integer not null,
        shipping_cents integer not null,
        tax_cents integer not null,
        street text not null,
        postcode text not null,
        city text not null,
        country text not null,
        payment_reference text not null default '',
        tracking_code text not null default ''
    );
    create table order_lines (
        order_number text not null references orders (number),
        sku text not null,
        title text not null,
        quantity integer not null,
        unit_cents integer not null,
        weight_grams integer not null,
        primary key (order_number, sku)
    );
    """,
    """
    create table coupon_uses (
        code text not null,
        customer_id integer not null,
        order_number text not null,
        primary key (code, order_number)
    );
    create index orders_by_customer on orders (customer_id, placed_at);
    create index orders_by_status on orders (status);
    """,
)


class Database:
    """A connection whose changes are made whole or not at all.

    Args:
        path: file of the database; without one, it is in memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._connection = sqlite3.connect(path or ":memory:", isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("pragma foreign_keys = on")
        self._depth = 0
        self._migrate()

    @property
    def version(self) -> int:
        """Number of migrations that were made."""
        return int(self._connection.execute("pragma user_version").fetchone()[0])

    def execute(self, statement: str, *values: object) -> int:
        """Run a statement, and return how many rows it changed."""
        return self._connection.execute(statement, values).rowcount

    def insert(self, statement: str, *values: object) -> int:
        """Insert a row, and return its number."""
        number = self._connection.execute(statement, values).lastrowid
        assert number is not None
        return number

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return self._connection.execute(query, values).fetchall()

    def row(self, query: str, *values: object) -> sqlite3.Row | None:
        """Return the first row of a query, if there is one."""
        return self._connection.execute(query, values).fetchone()

    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        """Keep all changes of a block, or none if it raises; blocks may be nested."""
        name = f"level_{self._depth}"
        self._connection.execute(f"savepoint {name}")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._connection.execute(f"rollback to {name}")
            raise
        finally:
            self._depth -= 1
            self._connection.execute(f"release {name}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _migrate(self) -> None:
        for number, script in enumerate(MIGRATIONS[self.version :], start=self.version + 1):
            self._connection.executescript(script)
            self._connection.execute(f"pragma user_version = {number}")

"""Accounts, passwords and mails."""

import pytest
from shop.customers.customer import Address, Customer, is_email
from shop.customers.passwords import hash_password, is_password, is_strong
from shop.errors import LoginFailed
from shop.mail.outbox import Mail, Outbox
from shop.web.services import Services


def test_a_customer_comes_in(services: Services, customer: Customer) -> None:
    assert services.accounts.log_in("ADA@example.org", "a long passphrase") == customer
    assert services.accounts.by_id(customer.id) == customer
    assert services.accounts.by_id(99) is None
    assert services.accounts.has("ada@example.org")


@pytest.mark.parametrize(
    ("email", "password"),
    [("ada@example.org", "another passphrase"), ("bob@example.org", "a long passphrase")],
)
def test_others_do_not(services: Services, customer: Customer, email: str, password: str) -> None:
    with pytest.raises(LoginFailed):
        services.accounts.log_in(email, password)


def test_a_customer_moves(services: Services, customer: Customer) -> None:
    address = Address("Rue Verte 1", "69001", "Lyon", "FR")
    assert services.accounts.move(customer, address).address == address
    found = services.accounts.by_id(customer.id)
    assert found is not None
    assert found.address.as_lines("Ada") == ["Ada", "Rue Verte 1", "69001 Lyon", "FR"]


def test_equal_passwords_have_different_hashes() -> None:
    first, second = hash_password("correct horse"), hash_password("correct horse")
    assert first != second
    assert is_password("correct horse", first)
    assert is_password("correct horse", second)


def test_weak_passwords_are_told() -> None:
    assert is_strong("a long passphrase")
    assert not is_strong("short")
    assert not is_strong("aaaaaaaaaaaaaaaa")


def test_addresses_are_told_from_other_texts() -> None:
    assert is_email("ada@example.org")
    assert not any(map(is_email, ("ada", "ada@", "ada@example", "a b@example.org")))


def test_mails_wait_until_they_are_taken() -> None:
    outbox = Outbox()
    for number in range(3):
        outbox.send(Mail("ada@example.org", f"Mail {number}", ""))
    taken: list[str] = []

    def hand_over(mail: Mail) -> bool:
        taken.append(mail.subject)
        return len(taken) < 3

    assert outbox.deliver(hand_over) == 2
    assert taken == ["Mail 0", "Mail 1", "Mail 2"]
    assert len(outbox) == 1

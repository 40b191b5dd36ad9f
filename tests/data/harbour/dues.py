"""Harbour dues."""

from harbour.pilots import MAX_PILOTED_TONNES


def harbour_dues_cents(tonnes: int, nights: int) -> int:
    """What a ship owes for lying in the harbour."""
    per_night_cents = 350 if tonnes <= MAX_PILOTED_TONNES else 900
    return per_night_cents * nights * (tonnes // 1000)


class DuesLedger:
    """Who owes what."""

    def __init__(self) -> None:
        self.owed_cents: dict[str, int] = {}

    def charge_ship(self, ship: str, tonnes: int, nights: int) -> None:
        """Add the dues of a stay."""
        self.owed_cents[ship] = self.owed_cents.get(ship, 0) + harbour_dues_cents(tonnes, nights)

"""Berths of the harbour, and the ships that lie at them."""

from dataclasses import dataclass


@dataclass
class BerthSchedule:
    """Which ship lies where, hour by hour."""

    berth_number: int
    tide_margin_cm: int = 40

    def is_reachable(self, draught_cm: int, tide_cm: int) -> bool:
        """Whether a ship of this draught can reach the berth at this tide."""
        return tide_cm - draught_cm >= self.tide_margin_cm


def assign_moorings(schedules: list[BerthSchedule], draughts_cm: list[int]) -> dict[int, int]:
    """Give each ship the first berth that it can reach."""
    assigned: dict[int, int] = {}
    for index, draught_cm in enumerate(draughts_cm):
        for schedule in schedules:
            if schedule.berth_number not in assigned and schedule.is_reachable(draught_cm, 600):
                assigned[schedule.berth_number] = index
                break
    return assigned

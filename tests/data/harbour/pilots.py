"""Pilots, and who brings in which ship."""

from harbour.berths import BerthSchedule, assign_moorings

MAX_PILOTED_TONNES = 120_000


class PilotRoster:
    """The pilots on duty."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.busy_until: dict[str, int] = {}

    def summon_pilot(self, hour: int) -> str:
        """The first pilot who is free at an hour."""
        for name in self.names:
            if self.busy_until.get(name, 0) <= hour:
                self.busy_until[name] = hour + 2
                return name
        raise RuntimeError("no pilot is free")


def plan_arrivals(roster: PilotRoster, schedules: list[BerthSchedule], draughts: list[int]) -> None:
    """Summon a pilot for each ship that has a mooring."""
    for berth_number, index in assign_moorings(schedules, draughts).items():
        print(berth_number, index, roster.summon_pilot(hour=index))

"""Sparing the battery of a machine without mains power."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import psutil

CHECK_EVERY_S = 10.0
"""Time between two checks whether the machine has mains power."""


class BatterySparing(Protocol):
    """Work that can be put off while the machine runs on its battery."""

    @property
    def spares_battery(self) -> bool:
        """Whether work is put off now."""
        ...

    def spare_battery(self, spares: bool, /) -> None:
        """Put work off, or take it up again."""
        ...


def on_battery() -> bool:
    """Whether the machine has no mains power; False if it has no battery or does not say."""
    try:
        battery = psutil.sensors_battery()
    except (OSError, RuntimeError, AttributeError):  # systems that cannot be asked
        return False
    return battery is not None and battery.power_plugged is False


async def must_spare_battery(is_enabled: bool) -> bool:
    """Whether work is to be put off now, if the user wants that on battery."""
    return is_enabled and await asyncio.to_thread(on_battery)


async def follow_power(work: BatterySparing, is_enabled: Callable[[], bool]) -> None:
    """Put work off when mains power is lost, and take it up when it is back; runs forever.

    Acts on changes alone: the user may have the work go on in spite of the battery.
    """
    spares = work.spares_battery
    while True:
        await asyncio.sleep(CHECK_EVERY_S)
        must_spare = await must_spare_battery(is_enabled())
        if must_spare != spares:
            spares = must_spare
            work.spare_battery(spares)

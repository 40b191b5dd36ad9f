"""Whether the machine runs on its battery."""

import psutil


def on_battery() -> bool:
    """True without mains power; a machine without a battery, or that does not say, has some."""
    try:
        battery = psutil.sensors_battery()
    except (OSError, RuntimeError, AttributeError):  # of systems that cannot be asked
        return False
    return battery is not None and battery.power_plugged is False

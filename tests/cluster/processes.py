"""The processes of a Ray that this one started."""

import psutil


def title(process: psutil.Process) -> str:
    """What a process calls itself; nothing where it has ended."""
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


def replica_pids() -> set[int]:
    """Those that hold the model."""
    started = psutil.Process().children(recursive=True)
    return {process.pid for process in started if "TeamEngine" in title(process)}

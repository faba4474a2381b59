"""The memory that processes take, as far as the system tells it without a library of its own."""

import math
import os
import sys
from pathlib import Path

__all__ = ["peak_mb", "resident_mb", "shown"]


def resident_mb(pid: int | str = "self") -> float:
    """The resident memory now, in MB of 10^6 bytes; nan where there is no /proc, which is Linux's."""
    if sys.platform != "linux":
        return math.nan
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_mb() -> float:
    """The highest resident memory of this process so far, in MB of 10^6 bytes; nan on Windows."""
    if sys.platform == "win32":
        return math.nan
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6  # macOS counts in bytes, Linux in KiB


def shown(mb: float) -> str:
    return "not known on this system" if math.isnan(mb) else f"{mb:.0f} MB"

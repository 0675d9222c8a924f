"""Memory of the machine and of this process: what is free, and what was held at most."""

from __future__ import annotations

import os


def free_bytes() -> float | None:
    """Memory that is free for use, bytes; None where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return 1024.0 * float(line.split()[1])
    except OSError:
        pass
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return None


class Peak:
    """Most memory held since it was made, beyond what was held then."""

    def __init__(self) -> None:
        self._begun, self._before = resident_bytes(), _most_ever()

    @property
    def bytes(self) -> int | None:
        """Bytes; None where the system does not tell, or an earlier peak of the process hides this one."""
        most = _most_ever()
        if self._begun is None or most is None or self._before is None or most <= self._before:
            return None
        return most - self._begun


def resident_bytes() -> int | None:
    """Memory of this process now, bytes; None where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def _most_ever() -> int | None:
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(
                    "VmHWM:"
                ):  # unlike ru_maxrss not that of the process that started this one
                    return 1024 * int(line.split()[1])
    except (OSError, ValueError):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

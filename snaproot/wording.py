"""Words that several messages share. Pure."""

from collections.abc import Sequence

_KIB = 1024


def some(names: Sequence[str], most: int = 8) -> str:
    """Name the first few, and how many there are besides."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def size(bytes: int) -> str:
    """Write a number of bytes for people: `1.5 MiB`; negative numbers keep their sign."""
    value, unit = float(abs(bytes)), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < _KIB or unit == "TiB":
            break
        value /= _KIB
    sign = "-" if bytes < 0 else ""
    return f"{sign}{value:.0f} {unit}" if unit == "B" else f"{sign}{value:.1f} {unit}"

"""Words that several messages share. Pure."""

from collections.abc import Sequence


def some(names: Sequence[str], most: int = 8) -> str:
    """Name the first few, and how many there are besides."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"

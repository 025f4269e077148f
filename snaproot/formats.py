"""What our JSON files outside the boot environments have in common: a format number. Pure.

A newer snaproot may have written them; then nothing is read into them (DESIGN.md §4).
"""

import json
from typing import Any

from snaproot import __version__
from snaproot.errors import NewerFormat


def parse(text: bytes, what: str, newest: int) -> dict[str, Any]:
    """Read a file that is an object with a format number; `what` names it in errors.

    Raises ValueError on damage, NewerFormat on a format above `newest`.
    """
    try:
        data = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(data, dict) or type(data.get("format")) is not int or data["format"] < 1:
        raise ValueError(f"it is no {what}")
    if data["format"] > newest:
        raise NewerFormat(
            f"the {what} has format {data['format']}, this snaproot {__version__} reads {newest}; "
            "nothing was changed",
            hint=f"snaproot {data.get('reader', 'of a newer release')} or newer is needed: "
            "boot the default, where it is installed",
        )
    return data

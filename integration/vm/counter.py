"""Runs in a guest: appends a number to a file in each shared place, durably, once a second."""

import os
import time
from pathlib import Path

PLACES = tuple(Path(place) for place in ("/var/lib/counter", "/home/counter", "/root/counter"))


def last(path: Path) -> int:
    text = path.read_text(encoding="ascii") if path.exists() else ""
    return int(text.splitlines()[-1]) if text else 0


while True:
    for place in PLACES:
        number = last(place) + 1
        with place.open("a", encoding="ascii") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())
    time.sleep(1)

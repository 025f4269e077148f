"""The bed that the others lie on."""

import os
import tempfile
import threading
from pathlib import Path

import pytest

from integration.disk import MARK, attached
from snaproot.run import run

pytestmark = pytest.mark.real


def test_an_image_is_free_once_its_device_is_detached(tmp_path: Path) -> None:
    """Somebody looks at the device just then, as whoever asks for all labels does."""
    home = Path(tempfile.mkdtemp(prefix=f"{MARK}{os.getpid()}-", dir=tmp_path))
    run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(home)])
    try:
        with attached(home / f"{MARK}looked-at.img", "2M") as device:
            held = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
            threading.Timer(0.5, os.close, [held]).start()
    finally:
        run(["umount", str(home)])

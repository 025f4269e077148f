"""Which loader is chosen, by adoption and by the configuration."""

from pathlib import Path

import pytest

from snaproot import config, configschema, loaders
from snaproot.bootloader import efi, wiring
from snaproot.config import Config
from snaproot.errors import NeedsRecovery, Refused
from snaproot.loaders import GRUB, ZFSBOOTMENU, Loader


def settings(backend: str) -> Config:
    text = f'[bootloader]\nbackend = "{backend}"\n' if backend else ""
    return config.validate(config.merge([configschema.parse(text, Path("snaproot.toml"))]))


@pytest.mark.parametrize(
    ("adopted", "backend", "chosen"),
    [
        ("", "", ""),
        (GRUB, "", GRUB),
        (GRUB, "grub", GRUB),
        (GRUB, "pointer", ""),
        (ZFSBOOTMENU, "", ZFSBOOTMENU),
        (ZFSBOOTMENU, "zfsbootmenu", ZFSBOOTMENU),
        (ZFSBOOTMENU, "pointer", ""),
        ("", "zfsbootmenu", ZFSBOOTMENU),
        (GRUB, "zfsbootmenu", None),
        ("", "grub", None),
        (ZFSBOOTMENU, "grub", None),
    ],
)
def test_which_loader_is_driven(
    tmp_path: Path, adopted: str, backend: str, chosen: str | None
) -> None:
    if adopted:
        loaders.save(tmp_path, Loader(adopted, "UUID=1234-ABCD" if adopted == GRUB else ""))
    if chosen is None:
        with pytest.raises(Refused, match="configured is"):
            wiring.chosen(settings(backend), tmp_path)
        return
    found = wiring.chosen(settings(backend), tmp_path)
    assert (found.backend if found else "") == chosen


def test_a_loader_that_nobody_knows_is_not_guessed_at(tmp_path: Path) -> None:
    loaders.save(tmp_path, Loader("lilo"))
    with pytest.raises(NeedsRecovery, match="lilo"):
        loaders.load(tmp_path)


def test_another_machines_firmware_has_no_entries_here() -> None:
    assert not efi.ELSEWHERE.entries()
    assert efi.ELSEWHERE.current() is None
    efi.ELSEWHERE.forget("snaproot once")

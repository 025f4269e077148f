"""ZFSBootMenu: it follows the pool's `bootfs`, and boots what else it is told by properties.

It writes nothing and counts nothing (zfsbootmenu(7)): arming moves `bootfs`, so that only userspace
can revert. One other boot is possible: a second boot entry of the firmware for the same image, with
the dataset in its load options (`zbm.prefer=`, since 3.1.0), which `BootNext` starts once.

Untested: what is written here is read back, and no boot of it was ever tried.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from snaproot.bootloader import Bootables, Capability, Shown, Trial, sealed
from snaproot.bootloader.efi import Entry, Firmware
from snaproot.bootloader.entry import ORIGINAL
from snaproot.errors import Refused, SnaprootError
from snaproot.state import LoaderView

ACTIVE, COMMAND_LINE = "org.zfsbootmenu:active", "org.zfsbootmenu:commandline"
LABEL = "snaproot once"
_CHOICE = ("zbm.prefer=", "zbm.timeout=", "zbm.show", "zbm.skip")


class Datasets(Protocol):
    """What is asked of the pool. Raises SnaprootError where it cannot be read or written."""

    def roots(self) -> Mapping[str, str]:
        """Name the dataset of each boot environment, the original's too."""

    def get(self, dataset: str, name: str) -> str:
        """Read a property that is set there itself; empty where it is not."""

    def set(self, dataset: str, name: str, value: str) -> None:
        """Set a property, durably; also where the dataset is read-only."""

    def bootfs(self) -> str:
        """Name the dataset that the pool's `bootfs` names; empty where it names none."""

    def set_bootfs(self, dataset: str) -> None:
        """Move `bootfs` in one atomic step, and make it durable before returning."""


@dataclass(frozen=True, slots=True)
class ZfsBootMenu:
    """One pool, and the firmware that starts ZFSBootMenu."""

    datasets: Datasets
    bootable: Bootables
    firmware: Firmware = field(default_factory=Firmware)

    def capability(self) -> Capability:
        return Capability(
            counts=False,
            one_shot=self.firmware.current() is not None,
            summary="is ZFSBootMenu, which follows the pool's bootfs and cannot count: a trial "
            "that dies before userspace is not reverted by itself (untested: no boot of it was "
            "tried)",
        )

    def view(self) -> LoaderView:
        ids = {dataset: id for id, dataset in self.datasets.roots().items()}
        upcoming = self.firmware.next()
        once = _preferred(upcoming) if upcoming and upcoming.label == LABEL else ""
        good = ids.get(self.datasets.bootfs(), "")
        return LoaderView(present=True, counts=False, good=good, once=ids.get(once, ""))

    def arm(self, trial: Trial) -> None:
        for id in (trial.good, trial.target):
            self._publish(id)
        self._point_at(trial.target)

    def settle(self, good: str) -> None:
        self._publish(good, proved=False)
        self._point_at(good)
        self.firmware.forget(LABEL)

    def leave(self, tries: int, good: str) -> None:
        if tries == 0:
            self._point_at(good)
            self.firmware.forget(LABEL)

    def boot_once(self, id: str) -> None:
        running = self.firmware.current()
        if running is None:
            raise Refused(
                f"{id} cannot be the next boot alone: the firmware does not say what started "
                "ZFSBootMenu; nothing was changed",
                hint="snaproot activate ID, without --once, makes it a trial",
            )
        self._publish(id)
        kept = [word for word in running.options.split() if not word.startswith(_CHOICE)]
        words = (*kept, f"zbm.prefer={self._dataset(id)}", "zbm.timeout=0")
        self.firmware.boot_once(replace(running, label=LABEL, options=" ".join(words)))

    def show(self, menu: Sequence[Shown]) -> None:
        shown, view = {one.id for one in menu}, self.view()
        for id in {*self.datasets.roots()} - {ORIGINAL, view.good, view.once}:
            with suppress(Refused):  # it has no kernel, or arguments that would be changed
                if id in shown:
                    self._publish(id, proved=False)
                    continue
            self._set(id, ACTIVE, "off")

    def withdraw(self, id: str) -> None:
        view = self.view()
        if id in {view.good, view.once}:
            raise Refused(f"ZFSBootMenu would boot {id}; it stays", hint="snaproot status")
        if id in self.datasets.roots() and id != ORIGINAL:
            self._set(id, ACTIVE, "off")

    def _publish(self, id: str, *, proved: bool = True) -> None:
        """Say how it is booted, and that it may be. What worked once is not made anew."""
        if id == ORIGINAL:
            return
        known = self.datasets.get(self._dataset(id), COMMAND_LINE)
        if proved or not known:
            one = self.bootable(id)
            if proved:
                sealed.check(one)
            if not known:
                self._set(id, COMMAND_LINE, _command_line(id, one.arguments))
        self._set(id, ACTIVE, "on")

    def _set(self, id: str, name: str, value: str) -> None:
        dataset = self._dataset(id)
        if self.datasets.get(dataset, name) == value:
            return
        self.datasets.set(dataset, name, value)
        if self.datasets.get(dataset, name) != value:
            raise SnaprootError(f"{name} of {dataset} does not read back as it was written")

    def _point_at(self, id: str) -> None:
        dataset = self._dataset(id)
        if self.datasets.bootfs() != dataset:
            self.datasets.set_bootfs(dataset)
        if self.datasets.bootfs() != dataset:
            raise SnaprootError(f"bootfs does not read back as {dataset}")

    def _dataset(self, id: str) -> str:
        found = self.datasets.roots().get(id)
        if found is None:
            raise Refused(f"{id} has no dataset that ZFSBootMenu could boot; nothing was changed")
        return found


def _preferred(entry: Entry) -> str:
    """Name the dataset that an entry prefers."""
    words = (word for word in entry.options.split() if word.startswith("zbm.prefer="))
    return next((word.removeprefix("zbm.prefer=") for word in words), "")


def _command_line(id: str, arguments: Sequence[str]) -> str:
    """Write what ZFSBootMenu is to pass on; it says `root=` itself.

    Raises Refused for what it would take apart: it splits at blanks, and quotes are left to it.
    """
    passed = [
        word for word in arguments if not word.startswith(("root=", "rootflags=", "rootfstype="))
    ]
    strange = next((w for w in passed if not w.isprintable() or set(w) & set(" \t'\"\\%{}")), None)
    if strange is not None:
        raise Refused(f"{id}: ZFSBootMenu would change the kernel argument {strange!r}")
    return " ".join(passed) or "ro"  # an empty one is none, and ZFSBootMenu would make its own

"""GRUB with the loader's home: entries, an index and the counter, where GRUB itself can write.

What GRUB does with them is `script/grub.cfg`. It replays no journal: all that it reads is flushed
to its place before the one write that makes it the choice.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from snaproot import durable
from snaproot.bootloader import (
    Bootable,
    Bootables,
    Capability,
    Shown,
    Trial,
    entry,
    envblock,
    sealed,
)
from snaproot.bootloader.copies import Copies, Kept
from snaproot.bootloader.entry import ORIGINAL
from snaproot.bootloader.envblock import Env
from snaproot.errors import Refused, SnaprootError
from snaproot.hashing import file_sha256
from snaproot.inside import Inside
from snaproot.state import LoaderView

_GOOD_SIZE = 64
_ORIGINAL_TITLE = "the system from before snaproot"


@dataclass(frozen=True, slots=True)
class Grub:
    """One home. `flush` makes all that GRUB reads durable where it is read.

    `canary` is `snaproot.canary=` of this boot's command line, None where nothing was booted.
    `kept` names what is not withdrawn to make room for the copies of others.
    """

    home: Path
    bootable: Bootables
    flush: Callable[[], None]
    canary: str | None = None
    kept: Kept = frozenset

    def capability(self) -> Capability:
        env = self._env()
        fault = self._unproven(env)
        if not fault:
            return Capability(
                counts=True, one_shot=True, summary="GRUB counts the boots of a trial"
            )
        return Capability(
            counts=False,
            one_shot=False,
            summary=f"GRUB is not known to count: {fault}",
            obstacle=f"GRUB has not been seen to write its file: {fault}",
            hint="boot once through snaproot's menu, then try again"
            if env
            else "snaproot recover writes it again",
        )

    def view(self) -> LoaderView:
        env = self._env()
        if env is None:
            return LoaderView(present=False, counts=True)
        return LoaderView(
            counts=True,
            good=env.good,
            trial=env.trial,
            deployment=env.deployment,
            tries=env.tries,
            once=env.once,
            fallback=self._good_without_env(),
        )

    def arm(self, trial: Trial) -> None:
        if not 1 <= trial.tries <= envblock.MOST_TRIES:
            raise Refused(
                f"GRUB counts from 1 to {envblock.MOST_TRIES} tries, not {trial.tries}; "
                "nothing was armed",
                hint="set tries in the configuration",
            )
        self._publish(trial.target, trial.good)
        self._write(
            Env(
                good=trial.good,
                trial=trial.target,
                deployment=trial.deployment,
                tries=trial.tries,
                canary=self._canary(),
            )
        )

    def settle(self, good: str) -> None:
        self._publish(good, proved=False)
        self._write(Env(good=good, canary=self._canary()))
        self._put(self.home / "good.cfg", f"set good={good}\n".ljust(_GOOD_SIZE, "\n").encode())

    def leave(self, tries: int, good: str) -> None:
        env = self._env()
        if env is None:
            self._write(Env(good=good))
        else:
            once = env.once if tries else ""
            self._write(replace(env, good=good, tries=tries, once=once))

    def boot_once(self, id: str) -> None:
        capability, env = self.capability(), self._env()
        if env is None or not capability.one_shot:
            raise Refused(
                f"{id} cannot be the next boot alone: {capability.obstacle}; nothing was changed",
                hint=capability.hint,
            )
        self._publish(id)
        self._write(replace(env, once=id))

    def show(self, menu: Sequence[Shown]) -> None:
        kept = {one.id for one in menu if one.kept}
        try:
            self._add(one.id for one in sorted(menu, key=_rank, reverse=True))
            self._copies.sweep()
            there = self._swept()
            titles = {one.id: one.says for one in menu if one.id in there}
            self._write_index(entry.index(titles, kept))
        except OSError as error:
            raise SnaprootError(f"{self._index} cannot be written: {error.strerror}") from error

    def withdraw(self, id: str) -> None:
        env = self._env()
        wanted = {self._good_without_env()}
        if env is not None:
            wanted |= {env.good, env.once, env.trial if env.tries else ""}
        if id in wanted:
            raise Refused(f"GRUB would boot {id}; its entry stays", hint="snaproot status")
        try:
            self._entry(id).unlink(missing_ok=True)
            durable.sync_directory(self._entries)
            self._copies.sweep()
        except OSError as error:
            raise SnaprootError(f"the boot entry of {id} cannot be removed: {error}") from error
        self._list({})

    # -- entries ---------------------------------------------------------------------------------

    @property
    def _entries(self) -> Path:
        return self.home / "entries"

    @property
    def _copies(self) -> Copies:
        return Copies(self.home)

    @property
    def _index(self) -> Path:
        return self.home / "index.cfg"

    def _entry(self, id: str) -> Path:
        return self._entries / f"{id}.cfg"

    def _publish(self, *ids: str, proved: bool = True) -> None:
        """Write the entries that are not there already, flush, and read back what GRUB will read.

        Raises Refused where that is not what it has to be: an entry, or what it loads.
        """
        made = [self._described(id) for id in ids if id != ORIGINAL]
        if ORIGINAL in ids and not self._entry(ORIGINAL).is_file():
            raise Refused(f"{ORIGINAL} has no boot entry left; nothing was armed")
        wanted = {one.id: self._wanted(one) for one in made}
        self._copy([one for one in made if not one.readable])
        for id, what in wanted.items():
            text = entry.render(what).encode()
            if self._kept(self._entry(id)) != text:
                durable.write(self._entry(id), text, mode=None)
        self._list({id: what.title for id, what in wanted.items()})
        self.flush()
        for one in made:
            if entry.parse(self._text(self._entry(one.id))) != wanted[one.id]:
                raise Refused(f"the boot entry of {one.id} does not read back; it was not armed")
            if proved and one.readable:  # copies were read back as they were written
                _check(one, one.kernel, one.digests.kernel)
                _check(one, one.initramfs, one.digests.initramfs)

    def _described(self, id: str) -> Bootable:
        one = self.bootable(id)
        return one if one.readable else self._copies.known(one)

    def _copy(self, made: Sequence[Bootable]) -> None:
        """Give GRUB copies of what it cannot read, in the place of old ones if there is no room."""
        view = self.view()
        needed = {view.good, view.trial, view.once, view.fallback}
        self._copies.make_room(made, needed, self.kept)
        for one in made:
            self._copies.put(one)

    def _wanted(self, bootable: Bootable) -> entry.Entry:
        """Keep what is written, if it boots the same: what worked is not made anew from settings.

        Arguments that somebody changed since are tried with the next target, while its fallback
        keeps those that it was proven with.
        """
        found = entry.parse(self._text(self._entry(bootable.id)))
        if found is not None and entry.boots(found, bootable):
            return found
        return entry.described(bootable)

    def _add(self, ids: Iterable[str]) -> None:
        """Write the entries of what was never armed, and let GRUB find what they load.

        Nothing leads to one but a person, so that none is a reason to fail, or to take the room
        that the next trial needs.
        """
        made = [one for id in ids if id != ORIGINAL and (one := self._missing(id))]
        for one in made:
            durable.write(self._entry(one.id), entry.render(one).encode(), mode=None)
        if made:
            self.flush()

    def _missing(self, id: str) -> entry.Entry | None:
        """Say what the entry has to be, where there is none that can be read and loads something.

        Where GRUB needs copies for it, they are there then.
        """
        found = entry.parse(self._text(self._entry(id)))
        if found is not None and (found.readable or self._copies.there(found)):
            return None
        try:
            one = self._described(id)
            wanted = entry.described(one)
        except Refused:  # it has no kernel, or arguments that GRUB would change
            return None
        return wanted if one.readable or self._spared(one) else None

    def _spared(self, one: Bootable) -> bool:
        """Copy it, if the next trial still finds room then; what fails may be done another time."""
        with suppress(SnaprootError):
            if self._copies.fits(one):
                self._copies.put(one)
                return True
        return False

    def _list(self, written: Mapping[str, str]) -> None:
        """Follow the entries; what is said of them comes with `show`.

        Without an index the menu has no list, and everything boots.
        """
        with suppress(SnaprootError, OSError):
            titles = {**entry.listed(self._text(self._index)), **written}
            ids = entry.newest(self._swept(), written)
            self._write_index(entry.index({id: self._title(id, titles) for id in ids}, written))

    def _write_index(self, text: str) -> None:
        if self._text(self._index) != text:
            durable.write(self._index, text.encode(), mode=None)

    def _swept(self) -> frozenset[str]:
        """Name all entries, and remove what a cut left of one that was being written."""
        paths = list(self._entries.iterdir())
        for path in paths:
            if path.name.startswith("."):
                path.unlink()
        return frozenset(path.stem for path in paths if path.suffix == ".cfg")

    def _title(self, id: str, titles: dict[str, str]) -> str:
        if id in titles or id == ORIGINAL:
            return titles.get(id, _ORIGINAL_TITLE)
        found = entry.parse(self._text(self._entry(id)))
        return found.title if found else ""

    # -- the file that GRUB writes ---------------------------------------------------------------

    def _env(self) -> Env | None:
        return envblock.parse(self._kept(self.home / "env") or b"")

    def _canary(self) -> str:
        env = self._env()
        return env.canary if env else ""

    def _unproven(self, env: Env | None) -> str:
        if env is None:
            return f"{self.home / 'env'} is missing or damaged"
        if not env.canary:
            return "it has not been started from snaproot's menu yet"
        if self.canary is None or self.canary == env.canary:
            return ""
        if not self.canary:
            return "this boot did not come from snaproot's menu"
        return f"what it wrote at this boot is not in {self.home / 'env'}"

    def _write(self, env: Env) -> None:
        self._put(self.home / "env", envblock.render(env))

    def _put(self, path: Path, content: bytes) -> None:
        """Write in place: no cluster moves, none is asked of a full filesystem."""
        if len(self._kept(path) or b"") == len(content):
            durable.overwrite(path, content)
        else:
            durable.write(path, content, mode=None)

    def _good_without_env(self) -> str:
        return self._text(self.home / "good.cfg").strip().removeprefix("set good=")

    def _text(self, path: Path) -> str:
        return (self._kept(path) or b"").decode(errors="replace")

    def _kept(self, path: Path) -> bytes | None:
        """Read what is on the medium; None where there is nothing to read."""
        try:
            with durable.uncached(path) as file:
                return file.read()
        except OSError:
            return None


def _rank(one: Shown) -> tuple[bool, str]:
    return one.kept, one.id


def _check(bootable: Bootable, path: str, digest: str) -> None:
    """Compare with what sealing recorded. GRUB follows no link out of the root as Linux does."""
    try:
        here = Inside(bootable.root).locate(path, follow=False)
        if here != bootable.root / path.lstrip("/") or here.is_symlink() or not here.is_file():
            raise Refused(f"{bootable.id}: GRUB cannot read {path}: it is behind a link")
        with durable.uncached(here) as file:
            found = file_sha256(file)
    except OSError as error:
        raise sealed.unreadable(bootable, path, error) from error
    if digest and found != digest:
        raise sealed.changed(bootable, path)

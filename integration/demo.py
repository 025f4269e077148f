"""The main job, told as a story: a real Debian root, upgraded, compared, rolled back.

Everything is done by the command line alone, on a Btrfs that lives in one file and that is gone
when the story ends, however it ends. What each step promises is looked up on the disk.
"""

import hashlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import fill
from types import FrameType

from integration import archive, debian, disk
from integration.archive import Archive
from snaproot.errors import SnaprootError
from snaproot.run import run, stream

SUITE = "trixie"
COMMAND = Path(sys.executable).with_name("snaproot")
LETTER = "Written while the upgraded root was the default.\n"


class Broken(Exception):
    """A step did not do what the story says."""


class Stopped(BaseException):
    """A signal ends the story; `args` holds its number."""


@dataclass(slots=True)
class Story:
    """The filesystem it plays on, and how many steps did what they promised."""

    top: Path
    archive: Archive
    passed: int = 0

    def step(self, text: str, *words: str, ends: int = 0) -> str:
        """Say what comes, run one command, and show what it says."""
        print(f"\n{fill(text, 100)}\n\n$ snaproot {' '.join(words)}", flush=True)
        done = stream(self._argv(*words), lambda line: print(line, flush=True))
        expect(done.status == ends, f"snaproot {words[0]} ended {done.status}, not {ends}")
        if ends:
            print(f"(exit code {ends})")
        self.passed += 1
        return done.output

    def ask(self, *words: str) -> dict[str, object]:
        """Run one command for ourselves, for its JSON."""
        asked: dict[str, object] = json.loads(run(self._argv(*words, "--json")).output)
        return asked

    def ids(self) -> tuple[str, ...]:
        """List the boot environments, oldest first."""
        listed = self.ask("list")["environments"]
        assert isinstance(listed, list)
        return tuple(one["id"] for one in listed)

    def root(self, id: str) -> Path:
        """Return the root of a boot environment."""
        return self.top / "@snaproot/environments" / id / "root"

    def _argv(self, *words: str) -> list[str]:
        """Nothing that we run outlives us, though we be killed."""
        alive = ("setpriv", "--pdeathsig", "KILL")
        return [*alive, str(COMMAND), "--sysroot", str(self.top), *words]


def expect(holds: bool, otherwise: str) -> None:
    """Stop the story where a promise is not kept."""
    if not holds:
        raise Broken(otherwise)


def tell(story: Story) -> None:
    """Tell the story from the first command to the last."""
    _meet(story)
    base = _adopt(story)
    target = _upgrade(story, base)
    _compare(story, base, target)
    _promote(story, target)
    _fail(story, target)
    _rollback(story, base, target)
    _tidy(story, base)


def _meet(story: Story) -> None:
    print(
        "Its disk is a file, with a Btrfs: the root in the subvolume @, and /home in @home.\n"
        f"This machine is not touched: each command below also has --sysroot {story.top}",
    )


def _adopt(story: Story) -> str:
    """Lay the root out."""
    story.step(
        "First, snaproot has to be told to look after this system. With -n it only says what it "
        "would do.",
        *("init", "-n"),
    )
    expect(not (story.top / "@snaproot").exists(), "init -n made something")
    story.step(
        "That is a snapshot, not a copy, and the root that was there stays. What programs write "
        "(/var, /home, /srv) becomes shared: no upgrade and no rollback will ever take it back.",
        *("init", "-y"),
    )
    base = _default(story)
    expect(_readonly(story.root(base)), f"{base} is not sealed")
    expect(not _readonly(story.root(base) / "etc"), f"/etc of {base} is not writable")
    expect((story.top / "@/usr/bin/dpkg").exists(), "the original root is gone")
    story.archive = replace(story.archive, directory=story.top / "@snaproot/areas/srv/archive")
    story.step(
        "The new root is the base: sealed, the default at the next boot, and what everything "
        "falls back to. Each such root is called a boot environment.",
        "status",
    )
    return base


def _upgrade(story: Story, base: str) -> str:
    """Upgrade in a copy, and look that nothing else changed."""
    story.archive.publish(*archive.GOOD)
    before = digest(story.root(base))
    planned = story.step(
        "Meanwhile Debian has published updates (here: a signed archive in /srv). What would an "
        "upgrade do?",
        *("upgrade", "-n"),
    )
    expect(all(name in planned for name in archive.GOOD), "the plan lacks a package")
    expect(story.ids() == _sorted(story, base), "upgrade -n made something")
    story.step(
        "Then do it. A snapshot of the base is taken, apt and the packages' own scripts run "
        "inside it, shut off from the machine and from the network; the result is checked, "
        "sealed, and becomes the next boot. The base is not touched.",
        *("upgrade", "-y"),
    )
    target = _default(story)
    expect(target != base, "the upgrade made nothing")
    expect(digest(story.root(base)) == before, f"{base} was changed by the upgrade")
    expect((story.root(target) / "usr/bin" / archive.NEW).exists(), "the new package is not there")
    expect(not (story.root(base) / "usr/bin" / archive.NEW).exists(), "it is in the base too")
    expect(_readonly(story.root(target)), f"{target} is not sealed")
    expect(archive.WORDS in _issue(story, target), "the conffile is the old one")
    return target


def _compare(story: Story, base: str, target: str) -> None:
    """Show both, and what differs."""
    listed = story.step(
        "Now there are three, side by side, sharing what did not change: the root as it was "
        "installed, the base, and the upgrade.",
        "list",
    )
    expect(base in listed and target in listed, "list lacks one")
    found = story.step(
        "What is different between them? Packages first, then files; nothing is read but what "
        "changed.",
        *("diff", base, target),
    )
    expect(all(name in found for name in archive.GOOD), "diff lacks a package")
    expect(f"/usr/bin/{archive.NEW}" in found, "diff lacks a file")
    expect("/etc/issue" in found, "diff lacks the changed file in /etc")


def _promote(story: Story, target: str) -> None:
    """Judge it good by hand, as nothing boots here."""
    story.step(
        "On a running machine the next boot would be the trial, and health checks the judge. "
        "Nothing boots here, so the verdict is given by hand: good.",
        "promote",
    )
    expect(story.ask("status")["base"] == target, f"{target} is not the base")
    (story.top / "@home/letter").write_text(LETTER, encoding="utf-8")
    story.step(
        "The upgraded root is the base now. Every file of it can be checked against what was "
        "recorded when it was sealed.",
        "verify",
    )


def _fail(story: Story, base: str) -> None:
    """Fail an upgrade, and look that everything is as it was."""
    story.archive.publish(archive.FAILING)
    ids, default, before = story.ids(), _default(story), everything(story)
    print(f"\nSHA-256 over all boot environments and shared places: {before[:32]}…")
    said = story.step(
        "Not every update is a good one. The next one breaks half-way: a package's own script "
        "ends with an error.",
        *("upgrade", "-y"),
        ends=1,
    )
    expect(base in said, "the message does not name what is still true")
    after = everything(story)
    print(f"\nSHA-256 over all boot environments and shared places: {after[:32]}…")
    expect(before == after, "a failed upgrade left something changed")
    expect((ids, default) == (story.ids(), _default(story)), "a failed upgrade moved something")
    story.step("Nothing was left half-done: what was there is there, bit for bit.", "list")
    story.archive.withdraw(archive.FAILING)


def _rollback(story: Story, base: str, target: str) -> None:
    """Go back to where it began; what was written since stays."""
    said = story.step(
        "Somebody misses yesterday's root. It is still there, and becomes the next boot, again "
        "as a trial.",
        "rollback",
        "-y",
    )
    expect(base in said, f"rollback does not name {base}")
    expect(_default(story) == base, f"{base} is not the next boot")
    story.step("And again a verdict by hand.", "promote")
    expect(story.ask("status")["base"] == base, f"{base} is not the base again")
    expect(archive.WORDS not in _issue(story, base), "the old root has the new file")
    letter = (story.top / "@home/letter").read_text(encoding="utf-8")
    expect(letter == LETTER, "the rollback took back what was written since")
    print("\nThe letter that was written to /home in between is still there.")
    expect(target in story.ids(), f"{target} is gone")


def _tidy(story: Story, base: str) -> None:
    """Check it, and clean up."""
    story.step("Yesterday's root is what it was when it was sealed:", *("verify", base))
    story.step(
        "Cleaning up keeps what is proven, pinned, pending or pointed at. Here that is all of "
        "them, so there is nothing to do, which has an exit code of its own.",
        *("cleanup", "-y"),
        ends=77,
    )
    story.step("How each was made from another:", *("list", "--tree"))


def everything(story: Story) -> str:
    """Digest all boot environments and all shared places."""
    roots = sorted((story.top / "@snaproot/environments").iterdir())
    shared = sorted((story.top / "@snaproot/areas").iterdir())
    parts = (digest(path) for path in (*roots, *shared, story.top / "@", story.top / "@home"))
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def digest(place: Path) -> str:
    """Digest a tree in full: names, kinds, modes, owners, times and contents."""
    summed = hashlib.sha256()
    for directory, names, files in os.walk(place):
        names.sort()
        for name in (".", *sorted((*files, *names))):
            _add(summed, Path(directory, name))
    return summed.hexdigest()


def _add(summed: "hashlib._Hash", path: Path) -> None:
    status = path.lstat()
    facts = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, status.st_rdev)
    summed.update(f"{path}\0{facts}\0".encode(errors="surrogateescape"))
    if path.is_symlink():
        summed.update(os.fsencode(path.readlink()))
    elif path.is_file():
        summed.update(hashlib.sha256(path.read_bytes()).digest())


def _default(story: Story) -> str:
    """Ask the filesystem itself what the next boot is."""
    said = run(["btrfs", "subvolume", "get-default", str(story.top)]).output
    return Path(said.split(" path ")[1].strip()).parent.name


def _readonly(root: Path) -> bool:
    return "ro=true" in run(["btrfs", "property", "get", "-ts", str(root), "ro"]).output


def _issue(story: Story, id: str) -> str:
    return (story.root(id) / "etc/issue").read_text(encoding="utf-8")


def _sorted(story: Story, base: str) -> tuple[str, ...]:
    """Name what is there before the first upgrade: the base and the original."""
    return tuple(id for id in story.ids() if id in {base, "original"})


@contextmanager
def stage(home: Path) -> Iterator[Story]:
    """Set up the disk with the root and the archive on it, and take all of it down again."""
    with debian.disk(SUITE, home) as top:
        served = Archive.create(top / "@/srv/archive", top.parent, debian.raw(SUITE))
        served.install(top / "@")
        yield Story(top, served)


def main() -> int:
    """Tell the story; every way out of it leaves nothing mounted, looped or running."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    begun, home = time.monotonic(), Path(tempfile.gettempdir())
    debian.sweep(home)
    passed, status, why = 0, 0, ""
    try:
        print("A Debian root is made with mmdebstrap once, and kept in", debian.cache(), flush=True)
        with stage(home) as story:
            tell(story)
            passed = story.passed
    except (Broken, SnaprootError) as error:
        status, why = 1, str(error)
    except Stopped as stopped:
        status, why = 128 + stopped.args[0], f"stopped by {signal.Signals(stopped.args[0]).name}"
    left = _settled(home)
    _close(why, left)
    took = time.monotonic() - begun
    print(f"demo: {passed} passed, {1 if why or left else 0} failed in {took:.1f} s")
    return status or (1 if left else 0)


def _settled(home: Path) -> list[str]:
    """Give the kernel a moment to let go of a disk whose last user was killed."""
    for _ in range(50):
        if not remains(home):
            return []
        time.sleep(0.1)
    return remains(home)


def remains(home: Path) -> list[str]:
    """List what this run has left behind: mounts, loop devices, files, programs."""
    mark = f"{disk.MARK}{os.getpid()}-"
    loops = run(["losetup", "--list", "--noheadings", "--output", "BACK-FILE"]).output
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    files = [str(path) for path in home.glob(f"{mark}*")]
    seen = [line for line in (*loops.splitlines(), *mounts.splitlines()) if mark in line]
    return [*seen, *files, *(words for words in _programs() if mark in words)]


def _programs() -> Iterator[str]:
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # gone in the meantime
            yield place.read_bytes().decode(errors="replace").replace("\0", " ")


def _close(why: str, left: Sequence[str]) -> None:
    """Say how it ended."""
    if why:
        print(f"\ndemo: {why}", flush=True)
    if left:
        print("\n".join(("demo: left behind:", *left)))
    else:
        print("\nThe disk is gone; nothing is left mounted, looped or running.")


def _stop(number: int, _frame: FrameType | None) -> None:
    """Leave through every cleanup, once: whoever presses again does not disturb it."""
    for deaf in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(deaf, signal.SIG_IGN)
    raise Stopped(number)


if __name__ == "__main__":
    sys.exit(main())

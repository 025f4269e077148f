"""The menu on real Btrfs, through the command line: it says what is so, and all of it boots."""

import pytest

from integration.test_adoption_loader import Bench, bench
from snaproot.bootloader import entry

pytestmark = pytest.mark.real
__all__ = ["bench"]


def lines(bench: Bench) -> dict[str, str]:
    return entry.listed((bench.home / "index.cfg").read_text())


def boots(bench: Bench, id: str) -> bool:
    """Tell whether there is an entry whose kernel and initramfs are those of this root."""
    path = bench.home / f"entries/{id}.cfg"
    found = entry.parse(path.read_text()) if path.exists() else None
    if found is None:
        return False
    files = [bench.machine.top / path.lstrip("/") for path in (found.kernel, found.initramfs)]
    own = f"/@snaproot/environments/{id}/root/boot/"
    return all(file.stat().st_size and own in str(file) for file in files)


def test_the_menu_follows_whatever_changes(bench: Bench) -> None:
    machine = bench.machine
    machine("init", "-y")
    bench.seen()
    (base,) = machine.ids()
    machine("recover")
    assert list(lines(bench)) == [base, "original"]
    assert lines(bench)[base].endswith(" proven  adopt")
    assert lines(bench)["original"].endswith(" original  the system from before sna..")
    before = (bench.home / f"entries/{base}.cfg").read_bytes()

    machine("run", "--stage-only", "touch", "/usr/lib/a")
    _, staged = machine.ids()
    assert lines(bench)[staged].endswith(" unproven, staged  run touch /usr/lib/a")
    assert boots(bench, staged)
    assert (bench.env.good, bench.env.trial) == (base, "")
    machine("run", "touch", "/usr/lib/b")
    _, _, armed = machine.ids()
    assert lines(bench)[staged].endswith(" unproven  run touch /usr/lib/a")
    assert lines(bench)[armed].endswith(" unproven, armed  run touch /usr/lib/b")
    machine("promote")
    assert lines(bench)[armed].endswith(" proven  run touch /usr/lib/b")
    machine("pin", base)
    assert lines(bench)[base].endswith(" proven, pinned  adopt")
    machine("unpin", base)
    machine("rollback", base, "-y")
    assert lines(bench)[base].endswith(" proven, armed  adopt")
    machine("reject", "-y")
    assert lines(bench)[base].endswith(" bad  adopt")
    assert list(lines(bench)) == [armed, staged, base, "original"]
    assert all(boots(bench, id) for id in machine.ids())
    assert (bench.home / f"entries/{base}.cfg").read_bytes() == before


def test_what_is_deleted_is_not_offered(bench: Bench) -> None:
    machine = bench.machine
    machine("init", "-y")
    bench.seen()
    (base,) = machine.ids()
    machine("run", "--stage-only", "touch", "/usr/lib/a")
    _, target = machine.ids()
    assert target in lines(bench)
    machine("abandon", "-y")
    assert list(lines(bench)) == [base, "original"]
    assert sorted(path.stem for path in (bench.home / "entries").iterdir()) == [base, "original"]
    for number in range(7):
        machine("run", "--stage-only", "touch", f"/usr/lib/{number}")
    assert len(lines(bench)) == 9
    machine("cleanup", "-y")
    assert set(lines(bench)) == {*machine.ids(), "original"}
    assert {path.stem for path in (bench.home / "entries").iterdir()} == set(lines(bench))
    assert len(lines(bench)) < 9


def test_a_menu_that_cannot_be_written_stops_nothing_and_is_said(bench: Bench) -> None:
    bench.machine("init", "-y")
    bench.seen()
    (bench.home / "index.cfg").unlink()
    (bench.home / "index.cfg").mkdir()
    said = bench.machine("run", "touch", "/usr/lib/a")
    assert "the boot loader's menu is not up to date" in said.err
    base, target = bench.machine.ids()
    assert (bench.env.good, bench.env.trial) == (base, target)

"""Debian forky, natively: its package, and what dracut makes inside the sandbox."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration import debian
from integration.machine import Machine
from integration.test_deb import loads_everything
from snaproot import initramfs, kernels
from snaproot.filesystem import Workspace
from snaproot.filesystem.layout import Layout
from snaproot.inside import Inside
from snaproot.sandbox import Sandbox

pytestmark = [pytest.mark.real, pytest.mark.slow]

BY_HAND = "update-initramfs -u"
BY_A_KERNEL = 'cd /usr/lib/modules && /etc/kernel/postinst.d/dracut * "/boot/vmlinuz-$(echo *)"'
OF_THIS_ROOT = "rootfstype="
"""How its note of the root begins, which the `root=` on the kernel's command line overrules."""


@pytest.fixture
def forky(tmp_path: Path) -> Iterator[Machine]:
    """Lend an adopted root of forky, with snaproot's package in it."""
    with debian.disk("forky", tmp_path, image=debian.root("forky")) as top:
        machine = Machine(top, options=("--sysroot", str(top), "--json", "-y"))
        machine("init")
        yield machine


@pytest.mark.parametrize("command", [BY_HAND, BY_A_KERNEL])
def test_dracut_makes_the_same_initramfs_in_the_sandbox(forky: Machine, command: str) -> None:
    said = forky("run", "sh", "-c", command)
    assert "Generating /boot/initrd.img-" in said.err
    assert "kept from the machine" not in said.err
    made = said.json["deployment"]
    assert isinstance(made, dict)
    before, after = (files(forky.top, made[role]) for role in ("base", "target"))
    assert after == before
    assert any("initrd.target.wants/dracut-cmdline.service" in file for file in after)


def test_every_library_loads_on_its_python(forky: Machine) -> None:
    """The package is no suite's that `make deb` builds: it is installed from its wheels here."""
    root = Layout(forky.top).root(forky.ids()[0])
    Sandbox(Workspace("", root, {}), writable=False).run(loads_everything(root, "forky"))


def files(top: Path, id: str) -> set[str]:
    root = Layout(top).root(id)
    kernel = kernels.find(Inside(root))[0]
    run = Sandbox(Workspace(id, root, {}), writable=False).run
    found = initramfs.listing(Inside(root), run, kernel.initramfs)
    return {file for file in found if not file.startswith(OF_THIS_ROOT)}

"""The loader's home, booted by every GRUB of Debian: the whole truth table of its script."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from integration import grubemu
from integration.grubemu import Outcome
from snaproot.bootloader import HOME, Bootable, Trial, envblock
from snaproot.bootloader import settings as settings_text
from snaproot.run import run
from tests.bootloader.grubhome import INITRAMFS, KERNEL, UUID, GrubHome

pytestmark = pytest.mark.real
HEAD = b"# GRUB Environment Block\n"
ARMED = {"good": "b1", "trial": "b2", "deployment": "d1", "tries": "2", "canary": "0"}
SAFETY = (
    "panic=10 oops=panic systemd.crash_action=reboot systemd.crash_reboot=1 "
    "systemd.watchdog_sec=60 rd.shell=0 rd.emergency=reboot noresume"
)
ORIGINAL = f"""\
set timeout=0
menuentry 'Debian' {{
    search --no-floppy --fs-uuid --set=root {UUID}
    linux /@/boot/vmlinuz root=UUID={UUID} ro
    initrd /@/boot/initrd.img
}}
"""


PROTECTED = """\
set superusers="admin"
password_pbkdf2 admin grub.pbkdf2.sha512.10000.AAAA.BBBB
set timeout=0
"""


def block(values: Mapping[str, str]) -> bytes:
    """Write an environment block as it stands, sound or not."""
    lines = "".join(f"{name}={value}\n" for name, value in values.items())
    return (HEAD + lines.encode()).ljust(1024, b"#")


@dataclass(frozen=True)
class Case:
    """What the machine finds, and what has to come of it: a root, words, the file afterwards."""

    boots: str
    words: str
    env: Mapping[str, str] | bytes = field(default_factory=lambda: ARMED)
    leaves: Mapping[str, str] | None = None
    good: str = "b1"
    without: tuple[str, ...] = ()
    spoilt: Mapping[str, bytes] = field(default_factory=dict)
    read_only: bool = False
    torn: tuple[str, ...] = ()


TRIED = ARMED | {"tries": "1", "canary": "1"}
CALM = ARMED | {"canary": "1"}
SPENT = ARMED | {"tries": "0"}
LAST = ARMED | {"tries": "1"}
IDLE = {"good": "b1", "canary": "0"}
ONCE = ARMED | {"once": "b3"}


def without(values: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in names}


def refused(**values: str) -> Case:
    """Make a case in which the trial cannot be counted: good, and the file as it was."""
    env = ARMED | values
    told = "" if values.get("deployment") else "snaproot.revert=d1"
    return Case("b1", told, env, env | {"canary": "1"})


CASES = {
    "idle": Case("b1", "", IDLE, IDLE | {"canary": "1"}),
    "first boot": Case("b1", "", {"good": "b1"}, {"good": "b1", "canary": "1"}),
    "armed": Case("b2", f"snaproot.trial=d1.1 {SAFETY}", leaves=TRIED),
    "last try": Case("b2", f"snaproot.trial=d1.0 {SAFETY}", LAST, SPENT | {"canary": "1"}),
    "nine tries": Case(
        "b2", f"snaproot.trial=d1.8 {SAFETY}", ARMED | {"tries": "9"}, CALM | {"tries": "8"}
    ),
    "canary of one": Case(
        "b2", f"snaproot.trial=d1.1 {SAFETY}", CALM, ARMED | {"tries": "1", "canary": "0"}
    ),
    "spent": Case("b1", "snaproot.revert=d1", SPENT, SPENT | {"canary": "1"}),
    "no tries": Case("b1", "snaproot.revert=d1", without(ARMED, "tries"), without(CALM, "tries")),
    "ten tries": refused(tries="10"),
    "negative": refused(tries="-1"),
    "words for tries": refused(tries="1 -o 1 = 1"),
    "no deployment": Case("b1", "", without(ARMED, "deployment"), without(CALM, "deployment")),
    "strange deployment": refused(deployment="d1 init=/bin/sh"),
    "strange trial": refused(trial="../settings"),
    "trial is digits": replace(refused(trial="1"), spoilt={"entries/1.cfg": b"echo 1\n"}),
    "no trial": Case("b1", "snaproot.revert=d1", without(ARMED, "trial"), without(CALM, "trial")),
    "trial's entry gone": Case(
        "b1", "snaproot.revert=d1", leaves=CALM, without=("entries/b2.cfg",)
    ),
    "good's entry gone": Case(
        "b3", "snaproot.revert=d1", SPENT, SPENT | {"canary": "1"}, "b3", ("entries/b1.cfg",)
    ),
    "no good": Case("b3", "", {"canary": "0"}, {"canary": "1"}, "b3"),
    "strange good": Case("b3", "", {"good": "B 1"}, {"good": "B 1", "canary": "1"}, "b3"),
    "good.cfg is another's": Case("b1", "", IDLE, IDLE | {"canary": "1"}, "b3"),
    "good.cfg gone": Case(
        "b1", "", IDLE, IDLE | {"canary": "1"}, without=("good.cfg", "index.cfg")
    ),
    "index garbled": Case(
        "b1", "", IDLE, IDLE | {"canary": "1"}, spoilt={"index.cfg": b"menuentry 'x {{\n"}
    ),
    "settings garbled": Case(
        "b1", "", IDLE, IDLE | {"canary": "1"}, spoilt={"settings.cfg": b"set timeout=0\nif {\n"}
    ),
    "file of zeros": Case("b1", "", bytes(1024)),
    "file truncated": Case("b1", "", b""),
    "half a file": Case("b1", "", block(ARMED)[:40]),
    "file gone": Case("b1", "", without=("env",)),
    "another's file": Case(
        "b1", "", block({"saved_entry": "debian"}), {"saved_entry": "debian", "canary": "1"}
    ),
    "nothing names a good one": Case(
        "b1", "", bytes(1024), without=("good.cfg", "entries/original.cfg")
    ),
    "nothing names one that is there": Case(
        "b2", "", bytes(1024), good="b9", without=("entries/b1.cfg", "entries/original.cfg")
    ),
    "a text": Case("b1", "", b"good=b2\n" * 128),
    "no room": Case("b1", "snaproot.revert=d1", block(ARMED).rstrip(b"#").ljust(1024, b"\0")),
    "foreign variables": Case(
        "b1",
        "",
        IDLE | {"home": "(hd7)/x", "root": "hd7", "default": "all", "told": "x", "counted": "yes"},
    ),
    "once": Case("b3", "", ONCE, CALM | {"once": ""}),
    "once, spent": Case("b3", "", SPENT | {"once": "b3"}, SPENT | {"once": "", "canary": "1"}),
    "once the good one": Case("b1", "", ARMED | {"once": "b1"}, CALM | {"once": ""}),
    "once, entry gone": Case(
        "b2",
        f"snaproot.trial=d1.1 {SAFETY}",
        ONCE,
        TRIED | {"once": "b3"},
        without=("entries/b3.cfg",),
    ),
    "cannot write": Case("b1", "snaproot.revert=d1", leaves=ARMED, read_only=True),
    "cannot write, once": Case("b1", "snaproot.revert=d1", ONCE, ONCE, read_only=True),
    "entry of zeros": Case(
        "b1", "snaproot.skipped=d1.1", leaves=TRIED, spoilt={"entries/b2.cfg": bytes(400)}
    ),
    "entry cut off": Case(
        "b1",
        "snaproot.skipped=d1.1",
        leaves=TRIED,
        spoilt={"entries/b2.cfg": b"echo b2\nif [ -s x ]; then\n"},
    ),
}
MISSING = {
    "trial's kernel gone": ("kernel", None),
    "trial's initramfs gone": ("initramfs", None),
    "trial's kernel empty": ("kernel", b""),
    "trial's initramfs empty": ("initramfs", b""),
}
QUICK = {  # GRUB shows for 2.5 seconds that it falls back
    ("2.06", "trial's kernel gone"),
    ("2.12", "trial's initramfs empty"),
    ("2.14", "trial's initramfs gone"),
}
GONE = Case("b1", "snaproot.skipped=d1.1", leaves=TRIED)


@dataclass
class Machine:
    """A home on a FAT image and roots on a Btrfs image, both made once and then copied."""

    home: GrubHome
    place: Path
    esp: Path
    root: Path

    def found(self, case: Case) -> "Machine":
        """Make the machine as the case finds it."""
        shutil.copyfile(self.esp, self.place / "case.img")
        machine = replace(self, esp=self.place / "case.img")
        env = case.env if isinstance(case.env, bytes) else block(case.env)
        machine.write("env", env)
        machine.write("good.cfg", f"set good={case.good}\n".encode())
        for name, content in case.spoilt.items():
            machine.write(name, content)
        for name in case.without:
            grubemu.delete(machine.esp, f"/{HOME}/{name}")
        return machine

    def write(self, name: str, content: bytes) -> None:
        grubemu.write(self.esp, f"/{HOME}/{name}", content)

    def read(self, name: str) -> bytes:
        return grubemu.read(self.esp, f"/{HOME}/{name}")

    def boot(self, version: str, case: Case, seconds: float = 8) -> Outcome:
        return grubemu.boot(
            version,
            (self.esp, self.root),
            files=self.home.roots,
            read_only=(self.esp,) if case.read_only else (),
            torn=case.torn,
            seconds=seconds,
        )

    def with_roots(self, change: Callable[[Path], None]) -> "Machine":
        """Change a copy of the roots, on the disk and in what GRUB's `linux` sees."""
        directory = self.place / "changed"
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(self.home.roots, directory / "roots")
        change(directory / "roots")
        image(directory / "roots", directory / "root.img")
        home = GrubHome(directory)
        return replace(self, home=home, root=directory / "root.img")


def image(roots: Path, place: Path) -> None:
    run(["truncate", "-s", "120M", str(place)])
    run(["mkfs.btrfs", "-q", "-f", "-U", UUID, "-r", str(roots), str(place)])


def lay_original(roots: Path) -> None:
    boot = roots / "@/boot"
    (boot / "grub").mkdir(parents=True)
    (boot / "grub/grub.cfg").write_text(ORIGINAL)
    some = roots / "@snaproot/environments/b1/root"
    shutil.copyfile(some / KERNEL[1:], boot / "vmlinuz")
    shutil.copyfile(some / INITRAMFS[1:], boot / "initrd.img")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    place = tmp_path_factory.mktemp("grub")
    home = GrubHome(place)
    home.lay_stub()
    home.establish("b1")
    for id in ("b2", "b3"):
        home.loader().arm(Trial("d1", id, "b1", 2))
    lay_original(home.roots)
    image(home.roots, place / "root.img")
    grubemu.fat(place / "esp.img", home.esp, size="2M")
    return Machine(home, place, place / "esp.img", place / "root.img")


@pytest.fixture(params=grubemu.SUITES)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def fault(machine: Machine, version: str, case: Case, seconds: float = 8) -> str:
    """Boot it, and say what is not as the case has it; empty if everything is."""
    outcome = machine.boot(version, case, seconds)
    root = f"/@snaproot/environments/{case.boots}/root"
    if outcome.kernel != root + KERNEL or outcome.initramfs != root + INITRAMFS:
        return f"{outcome.kernel or 'nothing'} was booted: {outcome.screen}"
    if outcome.waited:
        return f"a key was waited for: {outcome.screen}"
    env = envblock.variables(machine.read("env")) if case.leaves is not None else None
    if env != case.leaves:
        return f"the file has {env}"
    return fault_of_words(case, outcome.arguments.split(), root)


def fault_of_words(case: Case, words: list[str], root: str) -> str:
    first = [f"root=UUID={UUID}", f"rootflags=subvol={root[1:-5]}/root"]
    canary = words[2] if len(words) > 2 else ""
    if words[:2] != first or canary not in {"snaproot.canary=0", "snaproot.canary=1"}:
        return f"{words}"
    kept = (case.leaves or {}).get("canary")
    if kept is not None and (canary == f"snaproot.canary={kept}") == case.read_only:
        return f"{canary}, and the file has {kept}"
    return "" if words[3:] == case.words.split() else f"{words}"


@pytest.mark.parametrize("name", CASES)
def test_the_truth_table(machine: Machine, version: str, name: str) -> None:
    case = CASES[name]
    assert not fault(machine.found(case), version, case)


def test_two_tries_and_then_good_for_ever(machine: Machine, version: str) -> None:
    here = machine.found(CASES["armed"])
    boots = [here.boot(version, CASES["armed"]) for _ in range(4)]
    trials = [words.split()[3] for words in (boot.arguments for boot in boots)]
    assert trials == ["snaproot.trial=d1.1", "snaproot.trial=d1.0", *["snaproot.revert=d1"] * 2]
    canaries = [boot.arguments.split()[2][-1] for boot in boots]
    assert canaries == ["1", "0", "1", "0"]


@pytest.mark.parametrize(
    ("version", "name"),
    [
        pytest.param(version, name, marks=() if (version, name) in QUICK else pytest.mark.slow)
        for version in grubemu.SUITES
        for name in MISSING
    ],
)
def test_what_is_missing_is_left_to_the_fallback(machine: Machine, version: str, name: str) -> None:
    here = machine.with_roots(lambda roots: spoil(roots, *MISSING[name])).found(GONE)
    assert not fault(here, version, GONE)


def spoil(roots: Path, what: str, content: bytes | None) -> None:
    root = roots / "@snaproot/environments/b2/root"
    path = root / (KERNEL if what == "kernel" else INITRAMFS)[1:]
    path.unlink()
    if content is not None:
        path.write_bytes(content)


@pytest.mark.parametrize("version", ["2.12", "2.14"])
def test_a_kernel_that_linux_refuses_gives_way_to_good(machine: Machine, version: str) -> None:
    """The file is there, and loading it fails: GRUB's own `linux` looks for it elsewhere."""
    here = machine.with_roots(lambda _: None)
    spoil(here.home.roots, "kernel", None)
    assert not fault(here.found(GONE), version, GONE)


@pytest.mark.parametrize(
    ("version", "what"),
    [
        ("2.12", "its initramfs cannot be read"),
        pytest.param("2.14", "its initramfs cannot be read", marks=pytest.mark.slow),
        pytest.param("2.12", "its kernel does not start", marks=pytest.mark.slow),
        pytest.param("2.14", "its kernel does not start", marks=pytest.mark.slow),
    ],
)
def test_what_is_half_loaded_restarts_until_the_tries_are_spent(
    machine: Machine, version: str, what: str
) -> None:
    here = machine.with_roots(lambda _: None).found(CASES["armed"])
    case = CASES["spent"]
    if "initramfs" in what:
        spoil(here.home.roots, "initramfs", None)
    else:
        case = replace(case, torn=(f"b2/root{KERNEL}",))
    for left in "10":
        outcome = here.boot(version, case)
        assert (outcome.kernel, outcome.restarted, outcome.waited) == ("", True, False)
        assert (envblock.variables(here.read("env")) or {})["tries"] == left
    assert not fault(here, version, case)


def test_a_kernel_without_a_header_is_not_booted(machine: Machine) -> None:
    here = machine.with_roots(lambda roots: spoil(roots, "kernel", b"no kernel" * 500))
    assert not fault(here.found(GONE), "2.06", GONE)


# -- what a person picks -------------------------------------------------------------------------


def picking(machine: Machine, id: str) -> Machine:
    """Let `id` be picked in the submenu, by a stub that says so."""
    here = machine.found(CASES["armed"])
    stub = f"source /{HOME}/grub.cfg\nset default='all>{id}'\n".encode()
    grubemu.write(here.esp, "/EFI/debian/grub.cfg", stub)
    return here


def test_every_root_is_in_the_menu(machine: Machine, version: str) -> None:
    case = Case("b3", "snaproot.skipped=d1.1", leaves=TRIED)
    assert not fault(picking(machine, "b3"), version, case)


def test_the_original_is_in_the_menu_and_boots_as_it_did(machine: Machine, version: str) -> None:
    outcome = picking(machine, "original").boot(version, CASES["armed"])
    assert (outcome.kernel, outcome.arguments) == ("/@/boot/vmlinuz", f"root=UUID={UUID} ro")


def test_without_the_script_the_stub_starts_the_original(machine: Machine, version: str) -> None:
    case = replace(CASES["armed"], without=("grub.cfg",))
    outcome = machine.found(case).boot(version, case)
    assert (outcome.kernel, outcome.arguments) == ("/@/boot/vmlinuz", f"root=UUID={UUID} ro")


@pytest.mark.parametrize("name", ["idle", "armed", "once"])
def test_a_password_asks_nobody_for_what_boots_by_itself(
    machine: Machine, version: str, name: str
) -> None:
    settings = settings_text.render(PROTECTED).encode()
    case = replace(CASES[name], spoilt={"settings.cfg": settings})
    assert not fault(machine.found(case), version, case)


def test_a_password_is_asked_for_everything_else(machine: Machine, version: str) -> None:
    here = picking(machine, "b3")
    here.write("settings.cfg", settings_text.render(PROTECTED).encode())
    outcome = here.boot(version, CASES["armed"], seconds=1)
    assert not outcome.kernel
    assert "Enter username" in outcome.screen


# -- a whole disk --------------------------------------------------------------------------------


def test_a_disk_with_partitions(machine: Machine, version: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    grubemu.fat(tmp_path / "esp.img", machine.home.esp, size="64M", kind="32")
    grubemu.partitioned(disk, tmp_path / "esp.img", machine.root)
    for left in "10":
        outcome = grubemu.boot(version, (disk,), esp="hd0,gpt1", files=machine.home.roots)
        assert f"snaproot.trial=d1.{left}" in outcome.arguments.split()
        env = envblock.parse(grubemu.read(disk, f"/{HOME}/env", esp="hd0,gpt1"))
        assert env is not None
        assert env.tries == int(left)


# -- names that would be commands ----------------------------------------------------------------

STRANGE = 'it\'s ${root} $(reboot) `x` "q" ; } { | & < > # % * ? [a] \\ \u00e9 --id=x'
WORDS = ("a=;reboot", "b=*", "c={x}", "d=#x", "e=${root}", "f=|&<>", "g=$1", "-h", "i=%s", "j=~")


def test_no_value_is_a_command(version: str, tmp_path: Path) -> None:
    home = Strange(tmp_path)
    home.lay_stub()
    home.establish("b1")
    home.loader().arm(Trial("d1", "b2", "b1", 2))
    image(home.roots, tmp_path / "root.img")
    grubemu.fat(tmp_path / "esp.img", home.esp, size="2M")
    here = Machine(home, tmp_path, tmp_path / "esp.img", tmp_path / "root.img")
    for path in sorted(home.home.rglob("*.cfg")):
        assert not grubemu.check(version, path.read_text()), path
    for chosen in ("b2", "b1"):
        found = here.found(CASES["armed"]) if chosen == "b2" else picking(here, chosen)
        outcome = found.boot(version, CASES["armed"])
        assert outcome.kernel == home.bootable(chosen).prefix + KERNEL
        assert outcome.arguments.split()[: len(WORDS)] == [*WORDS]
        assert not outcome.waited
        assert "\nerror" not in outcome.screen


class Strange(GrubHome):
    """A home whose roots have every name that a shell would stumble over."""

    def bootable(self, id: str) -> Bootable:
        sound = super().bootable(id)
        name = f"{id} it's $root;{{*}}"
        root = self.roots / "@" / name
        if not root.exists():
            shutil.copytree(sound.root, root)
        return replace(sound, title=STRANGE, prefix=f"/@/{name}", root=root, arguments=WORDS)


# -- planted bugs --------------------------------------------------------------------------------

READ_BACK = """\
unset tries once canary
load_env --file "$home/env" tries once canary
"""
BUGS = {
    "not read back": (READ_BACK, "", "cannot write"),
    "no fallback": ("set fallback=0\n", "", "kernel gone"),
    "counts nothing": ('set tries="$left"', "true", "armed"),
    "no whitelist": (
        'env" good trial deployment tries once canary\n',
        'env"\n',
        "foreign variables",
    ),
    "one shot for ever": ("    set once=\n", "", "once"),
    "no care for the entry": ('test -s "$home/entries/$1.cfg"', "true", "trial's entry gone"),
    "believes good.cfg first": (
        'if ! snaproot_is_entry "$good"; then\n    unset',
        "if true; then\n    unset",
        "good.cfg is another's",
    ),
    "error goes to the menu": ('if [ "$loaded" = no ]', "if false", "entry cut off"),
    "canary stays": (
        'if [ "$canary" = 1 ]; then set wanted=0; else set wanted=1; fi',
        "set wanted=1",
        "canary of one",
    ),
    "no original, and nothing else": (
        "if regexp --set=1:found",
        "if false",
        "nothing names a good one",
    ),
    "the newest of all": ('"<"', '">"', "nothing names a good one"),
    "numbers are ids": ("'^[a-z]", "'^[a-z0-9]", "trial is digits"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bug_is_caught(machine: Machine, bug: str) -> None:
    right, wrong, name = BUGS[bug]
    case, here = CASES.get(name, GONE), machine
    if name == "kernel gone":
        here = machine.with_roots(lambda roots: spoil(roots, "kernel", None))
    script = (machine.home.home / "grub.cfg").read_text()
    assert script.count(right) == 1
    planted = here.found(case)
    planted.write("grub.cfg", script.replace(right, wrong).encode())
    assert fault(planted, "2.06", case, seconds=3)

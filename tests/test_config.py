"""Configuration files as people write them: mistakes are named with file and line."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot.config import (
    DIRECTORIES,
    Action,
    Backend,
    BackgroundSettings,
    BootloaderSettings,
    Conffiles,
    Config,
    Manager,
    PackageSettings,
    SpaceSettings,
    TrialSettings,
    Unknown,
    load,
    merge,
    sources,
    validate,
)
from snaproot.configschema import parse
from snaproot.errors import ConfigError, ExitCode, SnaprootError
from snaproot.health import Severity
from snaproot.health.settings import Disk, Health, Network, Scripts, Services
from snaproot.retention import Policy

HERE = Path("/etc/snaproot/snaproot.toml")
ALL = """\
[packages]
manager = "apt"
conffiles = "new"
[bootloader]
backend = "pointer"
[trial]
tries = 3
revert = false
unknown = "stay"
[retention]
proven = 2
unproven = 1
total = 5
max_age_days = 90
[space]
reserve_mib = 1024
[health]
deadline_seconds = 60
parallel = 2
[health.services]
required_units = ["ssh.service", "getty@tty1.service"]
[health.disk]
free_mib = 1
paths = ["/", "/srv/a b"]
[health.network]
enabled = false
severity = "required"
timeout_seconds = 1
retries = 0
delay_seconds = 0
names = ["deb.debian.org", "::1"]
tcp = ["db.example.org:5432", "[::1]:22"]
http = ["https://example.org/healthz?x=1", "http://127.0.0.1:8080"]
[health.scripts]
retries = 3
[background]
action = "reboot"
window = "23:30-01:00"
warning_minutes = 1
"""


def config(*texts: str) -> Config:
    return validate(merge(parse(text, HERE) for text in texts))


def refusal(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        config(text)
    return caught.value


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_nothing_said_means_the_defaults() -> None:
    assert config() == config("") == config("# nothing\n") == Config()
    assert Config().trial.tries == 2
    assert Config().packages == PackageSettings(Manager.AUTO, Conffiles.KEEP)


def test_every_setting_is_read() -> None:
    assert config(ALL) == Config(
        packages=PackageSettings(Manager.APT, Conffiles.NEW),
        bootloader=BootloaderSettings(Backend.POINTER),
        trial=TrialSettings(3, revert=False, unknown=Unknown.STAY),
        retention=Policy(proven=2, unproven=1, total=5, max_age_days=90),
        space=SpaceSettings(1024),
        health=Health(
            deadline_seconds=60,
            parallel=2,
            services=Services(required_units=("ssh.service", "getty@tty1.service")),
            disk=Disk(free_mib=1, paths=("/", "/srv/a b")),
            network=Network(
                enabled=False,
                severity=Severity.REQUIRED,
                timeout_seconds=1,
                retries=0,
                delay_seconds=0,
                names=("deb.debian.org", "::1"),
                tcp=("db.example.org:5432", "[::1]:22"),
                http=("https://example.org/healthz?x=1", "http://127.0.0.1:8080"),
            ),
            scripts=Scripts(retries=3),
        ),
        background=BackgroundSettings(Action.REBOOT, "23:30-01:00", warning_minutes=1),
    )


def test_later_files_win_key_by_key() -> None:
    merged = config(ALL, "retention.total = 7", "[trial]\ntries = 1\n[space]\n")
    assert merged.retention == Policy(proven=2, unproven=1, total=7, max_age_days=90)
    assert merged.trial.tries == 1
    assert merged.space.reserve_mib == 1024


@pytest.mark.parametrize(
    ("text", "line", "says", "hint"),
    [
        ("[packages]\nconffile = 'keep'\n", 2, "unknown key packages.conffile", "packages.conff"),
        ("\n# x\n[packges]\nmanager = 'apt'\n", 3, "unknown key packges.manager", "packages.man"),
        ("\n[retentoin]\n", 2, "unknown key retentoin", "retention?"),
        ("tries = 1\n", 1, "unknown key tries", "trial.tries?"),
        ("\n\nretention.totl = 1", 3, "unknown key retention.totl", "retention.total?"),
        ("[a]\n[b]\nqqqq = 1\n", 1, "unknown key a", "the tables are packages, bootloader"),
        ("[trial]\n\ntries = '2'\n", 3, 'trial.tries is "2", but is a number from 1 to 9', ""),
        ("[trial]\ntries = true\n", 2, "trial.tries is true, but", ""),
        ("[trial]\ntries = 0\n", 2, "trial.tries is 0, but", ""),
        ("[trial]\ntries = 2.0\n", 2, "trial.tries is 2.0, but", ""),
        ("trial.tries = [\n1,\n]\n", 1, "trial.tries is a list, but", ""),
        ("[space]\nreserve_mib = -1\n", 2, "space.reserve_mib is -1", ""),
        ("[packages]\nmanager = 'atp'\n", 2, 'is "atp", but is "auto" or "apt"', "apt?"),
        ("[packages]\nmanager = {}\n", 2, "packages.manager is a table, but", ""),
        ("[packages]\nmanager.x = 1\n", 2, "packages.manager is no table", ""),
        ("#\npackages = 3\n", 2, "packages is a table, not 3", ""),
        ("[packages]\n'a\\nb.c' = 1\n", 2, 'unknown key packages."a\\\\nb.c"', ""),
        ('x = """\n[trial]\ntries = 1\n"""\ntrial.tries = 0', 1, "unknown key x", ""),
        ("[\"packages\"]\n\"manager\" = '''\nx\n'''\n", 2, 'is "x\\n", but', ""),
        ("[[trial]]\ntries = 1\n", 1, "trial is a table, not a list", ""),
        ("[trial]\ntries = 1\ntries = 2\n", 3, "cannot overwrite a value", ""),
        ("[trial]\nrevert = 'no'\n", 2, 'trial.revert is "no", but is true or false', ""),
        ("[trial]\nunknown = 'good'\n", 2, 'is "good", but is "bad" or "stay"', ""),
        ("[trial]\nrevrt = true\n", 2, "unknown key trial.revrt", "trial.revert?"),
        ("[health.netwrk]\nretries = 1\n", 1, "unknown key health.netwrk.retries", "network.ret"),
        ("\n[health.disks]\n", 2, "unknown key health.disks", "health.disk?"),
        ("[health.disk]\nfree = 1\n", 2, "unknown key health.disk.free", "health.disk.free_mib?"),
        ("[health]\n\ndisk = 3\n", 3, "health.disk is a table, not 3", ""),
        ("[health.disk.paths]\nx = 1\n", 1, "health.disk.paths is no table", ""),
        ("[health]\nparallel = 0\n", 2, "health.parallel is 0, but is a number from 1", ""),
        ("[health.disk]\npaths = '/x'\n", 2, "but is a list of texts", 'paths = ["/x"]'),
        ("[health.disk]\npaths = [1]\n", 2, "has 1, but each of them is a text", ""),
        ("[health.disk]\npaths = ['x']\n", 2, 'has "x", but each of them is an absolute', ""),
        ("health.services.required_units = ['ssh']\n", 1, "like ssh.service", ""),
        ("[health.network]\nnames = [\n'a b']\n", 2, "is a host name", ""),
        ("[health.network]\ntcp = ['::1:22']\n", 2, "an IPv6 address in brackets", ""),
        ("[background]\naction = 'reboots'\n", 2, 'is "reboots", but is "stage" or', "reboot?"),
        ("[background]\nwindow = '3-5'\n", 2, 'window is "3-5", but is two times of day', ""),
        ("[background]\nwindow = 3\n", 2, "window is 3, but is a text", ""),
        ("[trial\ntries = 1\n", 1, "expected ']'", ""),
        ("[trial]\ntries = \n", 2, "invalid value", ""),
        ("[trial]\ntries = 'x\n", 2, "", ""),
        ("[trial]\nx = [1,\n", 2, "", ""),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_was_meant(
    text: str, line: int, says: str, hint: str
) -> None:
    error = refusal(text)
    assert str(error).startswith(f"{HERE}:{line}: ")
    assert says in str(error)
    assert hint in error.hint
    assert "\n" not in str(error)
    assert error.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        (ALL, ("trial", "tries"), 7),
        (ALL, ("trial",), 6),
        ("trial.tries = 1 # tries\n", ("trial", "tries"), 1),
        ("a = [\n  1,\n\n]\n\n# tries\nb = 1", ("b",), 7),
        ("a = '''\ntries = 1\n'''\ntries = 2\n", ("tries",), 4),
        ("# b = 1\r\n\r\nb = 1\r\n", ("b",), 3),
        ("a = '\u2028\x85'\nb = 1\n", ("b",), 2),
        ("[x]\nb = 1\n[y]\nb = 2\n[x.z]\nb = 3\n", ("x", "z", "b"), 6),
        ("[x]\nb = 1\n[y]\nb = 2\n", ("y", "b"), 4),
        ("x = {a = 1, b = {c = 2}}", ("x", "b", "c"), 1),
    ],
)
def test_a_key_is_found_on_its_line(text: str, key: tuple[str, ...], line: int) -> None:
    assert parse(text, HERE).line(key) == line


@pytest.mark.parametrize("text", ["", ":1", "h:", "h", "h:0", "h:65536", "h:1x", "h:²", "a b:1"])
def test_what_is_no_endpoint(text: str) -> None:
    assert "is host:port" in str(refusal(f"[health.network]\ntcp = ['{text}']"))


@pytest.mark.parametrize(
    "text",
    [
        *("", "example.org", "ftp://h/", "http://", "http:///x", "http://h:0/", "http://h:x/"),
        *("http://a b/", "http://ü/", "file:///etc/passwd", "http://[::1/"),
    ],
)
def test_what_is_no_web_page(text: str) -> None:
    assert "is an http or https URL" in str(refusal(f"[health.network]\nhttp = ['{text}']"))


values = st.sampled_from(["1", "'x'", '"""\nkey9 = 1\n"""', "[\n1,\n\n# k\n2]", "'''\n[t]\n'''"])
fillers = st.sampled_from(["", "\n", "# key1 = 1\n", "\n\n#\n"])


@given(st.lists(st.tuples(fillers, values), min_size=1, max_size=9), st.data())
def test_lines_are_right_whatever_stands_between(
    statements: list[tuple[str, str]], data: st.DataObject
) -> None:
    wanted = data.draw(st.integers(0, len(statements) - 1))
    text = "".join(f"{filler}key{n} = {value}\n" for n, (filler, value) in enumerate(statements))
    before = "".join(f"{f}key{n} = {v}\n" for n, (f, v) in enumerate(statements[:wanted]))
    line = (before + statements[wanted][0]).count("\n") + 1
    assert parse(text, HERE).line((f"key{wanted}",)) == line


def test_the_error_names_the_drop_in_that_is_wrong(tmp_path: Path) -> None:
    put(tmp_path / "snaproot.toml", "[trial]\ntries = 1\n")
    put(tmp_path / "snaproot.toml.d/50-more.toml", "\n\ntrial.tries = 0\n")
    with pytest.raises(ConfigError, match=r"snaproot\.toml\.d/50-more\.toml:3: trial\.tries is 0"):
        load([tmp_path])


def test_a_wrong_value_that_a_later_file_replaces_does_not_matter() -> None:
    assert config("trial.tries = 0", "trial.tries = 1").trial.tries == 1


def test_the_same_name_shadows_and_drop_ins_follow_by_name(tmp_path: Path) -> None:
    vendor, run, etc = (tmp_path / name for name in ("usr", "run", "etc"))
    put(vendor / "snaproot.toml", "")
    put(vendor / "snaproot.toml.d/10-a.toml", "")
    put(vendor / "snaproot.toml.d/90-z.toml", "")
    put(run / "snaproot.toml.d/10-a.toml", "")
    put(etc / "snaproot.toml", "")
    put(etc / "snaproot.toml.d/50-m.toml", "")
    put(etc / "snaproot.toml.d/50-m.toml~", "")
    put(etc / "snaproot.toml.d/.50-m.toml", "")
    assert sources([vendor, run, etc]) == [
        etc / "snaproot.toml",
        run / "snaproot.toml.d/10-a.toml",
        etc / "snaproot.toml.d/50-m.toml",
        vendor / "snaproot.toml.d/90-z.toml",
    ]


def test_a_link_to_dev_null_masks(tmp_path: Path) -> None:
    vendor, etc = tmp_path / "usr", tmp_path / "etc"
    put(vendor / "snaproot.toml", "trial.tries = 5")
    put(vendor / "snaproot.toml.d/a.toml", "trial.tries = 6")
    put(etc / "snaproot.toml.d/b.toml", "space.reserve_mib = 1")
    (etc / "snaproot.toml").symlink_to("/dev/null")
    (etc / "snaproot.toml.d/a.toml").symlink_to("/dev/null")
    assert load([vendor, etc]) == Config(space=SpaceSettings(1))


def test_no_files_at_all_are_fine(tmp_path: Path) -> None:
    assert load([tmp_path, tmp_path / "missing"]) == Config()


@pytest.mark.parametrize("name", ["snaproot.toml", "snaproot.toml.d/a.toml"])
def test_a_link_into_nowhere_is_no_silence(tmp_path: Path, name: str) -> None:
    put(tmp_path / "snaproot.toml.d/b.toml", "")
    (tmp_path / name).symlink_to("nowhere")
    with pytest.raises(SnaprootError, match="no such file"):
        load([tmp_path])


def test_a_directory_or_binary_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "snaproot.toml").mkdir()
    with pytest.raises(SnaprootError, match="is a directory"):
        load([tmp_path])
    (tmp_path / "snaproot.toml").rmdir()
    (tmp_path / "snaproot.toml").write_bytes(b"# \n# \xff\n")
    with pytest.raises(ConfigError, match=r"snaproot\.toml:2: it is not UTF-8"):
        load([tmp_path])


def test_the_admin_comes_last() -> None:
    assert [os.fspath(directory) for directory in DIRECTORIES] == [
        *("/usr/lib/snaproot", "/run/snaproot", "/etc/snaproot")
    ]


@pytest.mark.parametrize(
    "value", ["9" * 5000, "[" * 5000 + "]" * 5000, "0x" + "f" * 5000], ids=["digits", "deep", "hex"]
)
def test_a_value_that_python_will_not_read_is_a_mistake_as_any_other(value: str) -> None:
    assert str(refusal(f"[trial]\ntries = {value}\n")).startswith(f"{HERE}:")

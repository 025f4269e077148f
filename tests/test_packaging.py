"""What goes into the packages: pins, templates, the manual page."""

import re
import tomllib
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer

from contrib.debian import build, pin
from contrib.man import render
from snaproot.cli import app
from snaproot.run import stream
from snaproot.trust import certificate, policyfile, policylint, revocationlist
from snaproot.trust.statement import PROVENANCE, RELEASE

PROGRAM: Any = typer.main.get_command(app)


def pins() -> Mapping[str, str]:
    return build.pinned(build.PINS.read_text())


def manual() -> str:
    template = render.TEMPLATE.read_text()
    return render.page(template, PROGRAM, list(PROGRAM.commands.values()), "1.0", "2026-01-01")


def release(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def test_every_requirement_is_pinned_within_its_bounds() -> None:
    versions = dict(name.split("==") for name in pins().values())
    for wanted in pin.wanted():
        name, *bounds = re.split(r"(?=[<>=]=)|,", wanted)
        least = next(word for word in bounds if word and word.startswith((">=", "==")))
        assert release(versions[name]) >= release(least), wanted
        assert least.startswith(">=") or versions[name] == least.removeprefix("==")


def test_the_distribution_provides_only_what_is_bound_to_its_libraries() -> None:
    project = tomllib.loads((build.SOURCE / "pyproject.toml").read_text())["project"]
    left = [word for word in project["dependencies"] if word not in pin.wanted()]
    assert [re.split("[<>=]", word)[0] for word in left] == ["btrfsutil"]
    assert "python3-btrfsutil" in (build.HERE / "control.in").read_text()


def test_pins_are_exact_and_whole_digests() -> None:
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in pins())
    assert all(re.fullmatch(r"[a-z0-9.-]+==[\w.]+", name) for name in pins().values())


def test_pinned_reads_what_pin_writes() -> None:
    text = render_pins({"a==1": {"0" * 64, "1" * 64}, "b==2": {"2" * 64}})
    assert build.pinned(text) == {"0" * 64: "a==1", "1" * 64: "a==1", "2" * 64: "b==2"}


def render_pins(versions: Mapping[str, set[str]]) -> str:
    return "# comment\n" + "".join(pin.rendered(name, versions[name]) for name in versions)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("thing/__init__.py", {"thing/__init__.py"}),
        ("thing/.agents/notes.md", set()),
        ("thing-1.0.data/scripts/thing", set()),
    ],
)
def test_a_wheel_is_unpacked_without_scripts(tmp_path: Path, name: str, expected: set[str]) -> None:
    build.unpack(wheel(tmp_path, name), tmp_path / "root")
    root = tmp_path / "root"
    assert {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()} == expected


def test_a_wheel_that_needs_an_installer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(build.BuildError, match="needs an installer"):
        build.unpack(wheel(tmp_path, "thing-1.0.data/purelib/thing.py"), tmp_path / "root")


def wheel(place: Path, name: str) -> Path:
    path = place / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "")
    return path


def test_the_templates_are_filled_in_completely(tmp_path: Path) -> None:
    build.describe(tmp_path, build.SUITES["bookworm"], "1.0~bookworm")
    for target, _ in build.TEMPLATES.values():
        assert not re.search(r"@[A-Z]+@", (tmp_path / target).read_text()), target


POLICY_PAGE = (build.SOURCE / "contrib/man/snaproot-policy.5").read_text()


@pytest.mark.parametrize("page", [manual(), POLICY_PAGE], ids=["snaproot", "policy"])
def test_a_manual_page_without_warnings(page: str, tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.write_text(page)
    said = stream(["groff", "-man", "-ww", "-z", "-Tutf8", str(path)], line=lambda _: None)
    assert said.output == ""


def test_the_manual_page_has_every_command_and_option() -> None:
    page = manual()
    for verb in PROGRAM.commands.values():
        assert verb.hidden or re.search(rf'^\.SS "snaproot {verb.name}[ "]', page, re.MULTILINE)
        for name in (name for p in verb.params for name in p.opts if name.startswith("--")):
            assert render.escaped(name) in page


def test_the_page_about_policies_has_every_key_and_kind() -> None:
    code = [build.SOURCE / f"snaproot/trust/{name}.py" for name in ("policyfile", "policypackages")]
    text = "".join(path.read_text() for path in code)
    calls = re.findall(r"\.(?:only|text|texts|number|choice|moment|table|tables)\(([^)]*)", text)
    keys = {key for call in calls for key in re.findall(r'"([a-z_0-9]{3,})"', call)}
    assert {"maximum_age_days", "builder_id", "trusted_yes"} < keys
    marked = re.findall(r"^\.(?:[BI]+R?|SS) (.*)$", POLICY_PAGE, re.MULTILINE)
    words = {
        word for line in marked for word in re.split(r'[][ ",.()]+', line.replace("\\(dq", " "))
    }
    words = {word.replace("\\", "") for word in words}
    kinds = map(str, revocationlist.Kind)
    assert {*keys, *certificate.CLAIMS, *kinds, "allow", "limit", "grace"} <= words
    assert PROVENANCE in POLICY_PAGE
    assert RELEASE in POLICY_PAGE


def test_its_examples_are_policies_that_nothing_is_wrong_with() -> None:
    examples = re.findall(r"^\.nf\n(.*?)^\.fi$", POLICY_PAGE, re.MULTILINE | re.DOTALL)
    assert len(examples) == 2
    for text in examples:
        policy = policyfile.parse(text.replace("\\-", "-").encode(), Path("example"))
        found = policylint.lint(policy, datetime(2027, 1, 1, tzinfo=UTC))
        assert [one for one in found if one.weight is policylint.Weight.ERROR] == []


def test_roff_sees_no_request_in_a_text() -> None:
    assert render.escaped(".SH it's\n\\n -x") == "\\&.SH it\\(aqs\n\\en \\-x"

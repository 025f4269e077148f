"""Who may import what, and how big a thing may get (DESIGN.md §6), read off the source."""

import ast
import io
import statistics
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "snaproot"

OWNERS = {
    "subprocess": ("run.py",),
    "rich": ("output.py",),
    "btrfsutil": ("filesystem/btrfs/binding.py",),
    "libzfs_core": ("filesystem/zfs/binding.py",),
    "sigstore": ("trust/sigstore/",),
    "tuf": ("trust/tufclient.py", "trust/fetching.py"),
    "cryptography": ("trust/", "tlog/"),
    "rfc8785": ("verdicts.py",),
}
"""The one module, or package, that may import it."""

LATE = ("rich", "rfc8785", "btrfsutil", "libzfs_core", "sigstore", "tuf", "cryptography")
"""What start-up does not pay for (`snaproot --help`)."""

PURE = (
    *("areas/__init__.py", "cmdline.py", "configschema.py", "drafts.py", "environment.py"),
    *("fstab.py", "health/__init__.py", "health/settings.py", "ids.py"),
    *("bootloader/entry.py", "bootloader/envblock.py", "bootloader/settings.py"),
    *("packages/aptoutput.py", "recovery.py", "retention.py", "selection.py", "state.py"),
    "filesystem/btrfs/sendstream.py",
    *("grubdefaults.py", "wording.py", "finding.py", "machine/facts.py", "machine/judged.py"),
    "machine/pools.py",
    *("menu.py", "window.py"),
    *("tlog/checkpoint.py", "tlog/cosignature.py", "tlog/merkle.py", "tlog/note.py"),
    "tlog/quorum.py",
    *("packages/aptarchives.py", "packages/aptstrict.py", "permits.py"),
    *("trust/clock.py", "trust/documents.py", "trust/evaluation.py", "trust/facts.py"),
    *("trust/floors.py", "trust/patterns.py", "trust/policy.py", "trust/policyfile.py"),
    *("trust/policylint.py", "trust/policypackages.py", "trust/policyschema.py"),
    *("trust/releaserules.py", "trust/rests.py", "trust/revocation.py"),
    *("trust/revocationlist.py", "trust/root.py", "trust/rules.py", "trust/statement.py"),
    *("trust/thresholds.py", "trust/versions.py"),
)
IMPURE = (
    *("asyncio", "ctypes", "fcntl", "glob", "io", "mmap", "os", "random", "secrets", "shutil"),
    *("signal", "socket", "subprocess", "sys", "tempfile", "threading", "time"),
    *("snaproot.durable", "snaproot.mounts", "snaproot.run", "snaproot.sandbox"),
)

WIRING = (
    *("system.py", "filesystem/btrfs/", "filesystem/zfs/", "bootloader/", "packages/"),
    "adoption/",  # its Btrfs half makes the layout that the backend then finds
    "leaving/",  # and this unmakes it
    "unprivileged.py",  # names what the kernel shows to anybody, by the pure half of the layout
)
TALKERS = ("output.py", "cli/", "__main__.py", "boot/__main__.py")
MOCKS = ("mock", "unittest", "pytest_mock", "monkeypatch", "mocker")


@dataclass(frozen=True)
class Import:
    """One imported name, fully dotted, and where."""

    name: str
    line: int
    late: bool


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def modules() -> list[str]:
    return sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))


def imports(module: str) -> list[Import]:
    return list(_imports(tree(PACKAGE / module), late=False))


def _imports(node: ast.AST, *, late: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, node.lineno, late) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: a relative import"
        yield from (Import(f"{node.module}.{a.name}", node.lineno, late) for a in node.names)
    inner = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _is_for_types(node)
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, late=late or inner)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def is_of(name: str, library: str) -> bool:
    return name == library or name.startswith(library.removesuffix(".") + ".")


def belongs(module: str, places: tuple[str, ...]) -> bool:
    return any(module == p or (p.endswith("/") and module.startswith(p)) for p in places)


def calls(module: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree(PACKAGE / module)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_has_one_owner(library: str) -> None:
    found = {
        f"{module}:{found.line}"
        for module in modules()
        for found in imports(module)
        if is_of(found.name, library) and not belongs(module, OWNERS[library])
    }
    assert not found


def test_starting_up_imports_no_heavy_library() -> None:
    loaded = at_start("snaproot.__main__")
    assert len(loaded) > 5
    found = {
        f"{module}:{found.line} {found.name}"
        for module in loaded
        for found in imports(module)
        if not found.late and any(is_of(found.name, library) for library in LATE)
    }
    assert not found


def test_opening_a_system_loads_nothing_of_trust() -> None:
    """Every verb pays for what that loads, and so does every boot."""
    loaded = at_start("snaproot.system")
    assert "packages/__init__.py" in loaded
    assert not [module for module in loaded if module.startswith(("trust/", "tlog/"))]


def test_without_a_source_nobody_pays_for_fetching() -> None:
    loaded = at_start("snaproot.background") | at_start("snaproot.cli.stage")
    assert "renewing.py" in loaded
    assert "trust/tufclient.py" not in loaded


def at_start(name: str, seen: frozenset[str] = frozenset()) -> frozenset[str]:
    """Follow imports at module level, packages included, from one module on."""
    for module in _files(name):
        if module not in seen:
            seen |= {module}
            for found in imports(module):
                seen = seen if found.late else at_start(found.name, seen)
    return seen


def _files(name: str) -> Iterator[str]:
    parts = name.split(".")
    for length in range(1, len(parts) + 1) if parts[0] == "snaproot" else ():
        stem = "/".join(parts[1:length])
        for module in (f"{stem}.py", f"{stem}/__init__.py".lstrip("/")):
            if (PACKAGE / module).is_file():
                yield module


@pytest.mark.parametrize("module", PURE)
def test_what_decides_does_no_input_or_output(module: str) -> None:
    names = [found.name for found in imports(module)]
    assert not [name for name in names if any(is_of(name, impure) for impure in IMPURE)]
    assert not [n for n in names if is_of(n, "pathlib") and not n.startswith("pathlib.Pure")]
    asked = {name for name, _ in calls(module)}
    assert not asked & {"open", "input", "datetime.now", "datetime.today", "date.today"}


def test_the_story_knows_protocols_only() -> None:
    lower = ("system", "cli", "output", "adoption", "staging", "proof", "sandbox", "config")
    above = tuple(f"snaproot.{name}" for name in lower)
    found = [i.name for i in imports("transaction.py") if any(is_of(i.name, a) for a in above)]
    assert not found
    assert not [i.name for i in imports("transaction.py") if _is_backend(i.name)]


def test_only_the_composition_root_knows_backends() -> None:
    found = {
        f"{module}:{found.line} {found.name}"
        for module in modules()
        for found in imports(module)
        if _is_backend(found.name) and not belongs(module, WIRING)
    }
    assert not found


def _is_backend(name: str) -> bool:
    """Tell a concrete backend from its protocol, by what there is on disk."""
    parts = name.split(".")[1:3]
    inside = len(parts) == 2 and parts[0] in {"filesystem", "bootloader", "packages"}
    place = PACKAGE.joinpath(*parts) if inside else PACKAGE
    shared = {
        "filesystem/cloning",
        "filesystem/collecting",
        "filesystem/comparison",
        "filesystem/edits",
        "filesystem/faults",
        "filesystem/filelist",
        "filesystem/layout",
        "filesystem/manifest",
        "filesystem/metadata",
        "filesystem/salvaging",
        "filesystem/trees",
        "bootloader/copies",  # what is in a loader's home, whoever asks
        "bootloader/entry",
        "bootloader/envblock",
        "bootloader/settings",
    }
    shared |= {"packages/aptoutput"}  # reads what hooks said, whoever ran them
    return inside and "/".join(parts) not in shared and _is_module(place)


def _is_module(place: Path) -> bool:
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def test_nothing_below_imports_the_command_line() -> None:
    for module in modules():
        if not belongs(module, TALKERS):
            above = ("snaproot.cli", "snaproot.output", "typer", "click")
            assert not [i for i in imports(module) if any(is_of(i.name, a) for a in above)], module


def test_below_the_command_line_nobody_prints() -> None:
    found = {
        f"{module}:{line} {name}"
        for module in modules()
        for name, line in calls(module)
        if name in {"print", "sys.stdout.write", "sys.stderr.write"}
        and not belongs(module, TALKERS)
    }
    assert not found


def test_no_shell_and_no_other_way_to_start_a_program() -> None:
    found = {
        f"{module}:{line} {name}"
        for module in modules()
        for name, line in calls(module)
        if name in {"os.system", "os.popen"} or name.startswith(("os.spawn", "os.exec", "pty."))
    }
    assert not found
    run = tree(PACKAGE / "run.py")
    assert not [
        node for node in ast.walk(run) if isinstance(node, ast.keyword) and node.arg == "shell"
    ]


def test_there_is_no_mock_library() -> None:
    for path in [*REPOSITORY.glob("*.py"), *_sources("snaproot", "tests", "integration")]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.arg):
                assert node.arg not in MOCKS, f"{path}:{node.lineno}"
        for found in _imports(tree(path), late=False):
            assert found.name.split(".")[0] not in MOCKS, f"{path}:{found.line}"


def _sources(*names: str) -> Iterator[Path]:
    for name in names:
        yield from (REPOSITORY / name).rglob("*.py")


# -- sizes ---------------------------------------------------------------------------------------


def functions() -> dict[str, int]:
    """Every function and how many lines it has without its docstring."""
    return {
        f"{module}:{node.lineno} {node.name}": _lines(node)
        for module in modules()
        for node in ast.walk(tree(PACKAGE / module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    doc = 0
    if ast.get_docstring(node) is not None:
        doc = (first.end_lineno or 0) - first.lineno + 1
    return (node.end_lineno or 0) - node.lineno + 1 - doc


def code_lines(path: Path) -> int:
    """Lines with code: neither empty, nor a comment, nor part of a docstring."""
    kinds = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    text = path.read_text(encoding="utf-8")
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in kinds:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(range(node.lineno, (node.end_lineno or 0) + 1))
    return len(lines)


def test_functions_are_small() -> None:
    sizes = functions()
    assert {name: size for name, size in sizes.items() if size > 40} == {}
    assert statistics.median(sizes.values()) <= 8
    assert statistics.quantiles(sizes.values(), n=20)[-1] <= 25


@pytest.mark.parametrize("module", modules())
def test_modules_are_small(module: str) -> None:
    assert code_lines(PACKAGE / module) <= 260  # "about 250"

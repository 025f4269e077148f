"""Every claim names tests and commands that exist."""

import ast
import re
from pathlib import Path

import pytest

from integration import claims
from snaproot.cli import app

REPOSITORY = Path(__file__).resolve().parent.parent
CLAIMS = claims.parse(claims.PATH.read_text(encoding="utf-8"))
KNOWN = {
    "make": set(re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)),
    "snaproot": {one.name for one in app.registered_commands},
}


def functions(path: Path) -> set[str]:
    """Name the tests of a file: functions, classes, and `Class::test`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            inner = (f.name for f in node.body if isinstance(f, ast.FunctionDef))
            found |= {node.name, *(f"{node.name}::{name}" for name in inner)}
    return found


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.says[:40])
def test_what_shows_a_claim_exists(claim: claims.Claim) -> None:
    assert claim.tests or claim.commands
    for test in claim.tests:
        path, _, name = test.partition("::")
        assert name.partition("[")[0] in functions(REPOSITORY / path), test
    for command in claim.commands:
        program, word, *_ = [*command.split(), ""]
        assert word in KNOWN[program], command


def test_every_claim_is_made_once() -> None:
    assert len({claim.says for claim in CLAIMS}) == len(CLAIMS)

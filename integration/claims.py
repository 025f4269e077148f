"""Print what snaproot claims, and what shows each claim: `make claims`."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

PATH = Path(__file__).resolve().parent.parent / "tests/claims.toml"


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence, the tests that would fail if it were not so, and commands that show it."""

    says: str
    tests: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


def parse(text: str) -> tuple[Claim, ...]:
    """Read the claims from TOML."""
    return tuple(
        Claim(one["says"], tuple(one.get("tests", ())), tuple(one.get("commands", ())))
        for one in tomllib.loads(text)["claim"]
    )


def main() -> None:
    """Print every claim with what shows it below it."""
    for claim in parse(PATH.read_text(encoding="utf-8")):
        print(claim.says)
        for command in claim.commands:
            print(f"    $ {command}")
        for test in claim.tests:
            print(f"    {test}")
        print()


if __name__ == "__main__":
    main()

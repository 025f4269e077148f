"""Print snaproot(8), its commands and options taken from the command line itself.

`render.py DIRECTORY EPOCH`: DIRECTORY holds snaproot and its libraries, EPOCH is the page's date in
seconds since 1970.
"""

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

TEMPLATE = Path(__file__).with_name("snaproot.8.in")


class Parameter(Protocol):
    """What typer knows of an option or an argument."""

    opts: Sequence[str]
    metavar: str | None
    help: str | None
    param_type_name: str


class Command(Protocol):
    """What typer knows of a verb."""

    name: str
    help: str
    hidden: bool
    params: Sequence[Any]


def escaped(text: str) -> str:
    r"""Write text so that roff(7) prints it as it is.

    >>> escaped("a -n\n.b")
    'a \\-n\n\\&.b'
    """
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in text.split("\n"))


def page(template: str, program: Command, verbs: Sequence[Command], version: str, date: str) -> str:
    """Fill the template in."""
    common = {name for parameter in program.params for name in parameter.opts}
    shown = [(name, verb) for name, verb in named(verbs) if not verb.hidden]
    values = {
        "VERSION": version,
        "DATE": date,
        "OPTIONS": "".join(line for own in options(program, set()) for line in own),
        "COMMANDS": "".join(line for name, verb in shown for line in section(name, verb, common)),
    }
    for key, value in values.items():
        template = template.replace(f"@{key}@", value.rstrip("\n"))
    return template


def named(verbs: Sequence[Command]) -> Iterator[tuple[str, Command]]:
    """Yield every verb with the words that call it; of a group, the verbs in it."""
    for verb in verbs:
        inner = getattr(verb, "commands", {})
        yield from ((f"{verb.name} {name}", one) for name, one in inner.items())
        if not inner:
            yield verb.name, verb


def section(name: str, verb: Command, common: set[str]) -> Iterator[str]:
    """Render one verb: how it is called, what it does, its own options, examples."""
    arguments = [p.metavar for p in verb.params if p.param_type_name == "argument"]
    words = escaped(" ".join(["snaproot", name, *arguments]))
    text, _, examples = verb.help.partition("\b\nExamples:\n")
    first, *others = text.strip().split("\n\n")
    yield f'.SS "{words}"\n{escaped(first)}\n'
    for paragraph in others:
        yield f".PP\n{escaped(paragraph)}\n"
    for own in options(verb, common):
        yield from own
    lines = "\n".join(line.strip() for line in examples.strip().splitlines())
    yield f".PP\n.RS\n.nf\n{escaped(lines)}\n.fi\n.RE\n"


def options(command: Command, known: set[str]) -> Iterator[tuple[str, str]]:
    """Render the options that are not known already."""
    for parameter in command.params:
        if parameter.param_type_name == "option" and not known.intersection(parameter.opts):
            names = ", ".join(f"\\fB{escaped(name)}\\fR" for name in parameter.opts)
            value = f" \\fI{escaped(parameter.metavar)}\\fR" if parameter.metavar else ""
            yield f".TP\n{names}{value}\n", f"{escaped(parameter.help or '')}\n"


def main(argv: Sequence[str]) -> None:
    """Print the page."""
    sys.path.insert(0, argv[0])
    import typer

    from snaproot import __version__
    from snaproot.cli import app

    program: Any = typer.main.get_command(app)
    date = datetime.fromtimestamp(int(argv[1]), UTC).strftime("%Y-%m-%d")
    verbs = list(program.commands.values())
    template = TEMPLATE.read_text(encoding="utf-8")
    sys.stdout.write(page(template, program, verbs, __version__, date))


if __name__ == "__main__":
    main(sys.argv[1:])

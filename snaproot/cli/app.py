"""The command line's frame: the options that every verb has, before or after it."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from snaproot import __version__
from snaproot.errors import Busy, ExitCode
from snaproot.output import Output

if TYPE_CHECKING:
    from snaproot.system import System

Verb = Callable[..., ExitCode | None]

DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Show what would be done, and change nothing.")
]

WAIT = 60.0  # seconds
_PATIENCE = 1.0  # seconds of waiting that nobody needs to be told of

app = typer.Typer(
    name="snaproot",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@dataclass(frozen=True, slots=True)
class Call:
    """The options that every verb has, as given before or after it."""

    output: Output
    yes: bool = False
    wait: float = WAIT
    sysroot: Path | None = None
    esp: Path | None = None

    @contextmanager
    def system(self) -> Iterator["System"]:
        """Open the system that is meant, for reading."""
        from snaproot.system import opened

        said = self.output
        with opened(
            self.sysroot, esp=self.esp, notice=said.notice, announce=said.announce
        ) as system:
            yield system

    @contextmanager
    def locked(self, what: str) -> Iterator["System"]:
        """Open the system that is meant, and hold its lock; say whom that has to wait for.

        The loader's menu, and what lasts for one boot alone (masks, the login message), are made
        to fit afterwards.
        """
        holder, patience = f"snaproot {what}", min(self.wait, _PATIENCE)
        with self.system() as system, ExitStack() as held:
            try:
                held.enter_context(system.locked(holder, patience))
            except Busy as busy:
                if patience == self.wait:
                    raise
                at_work = str(busy).removesuffix("; nothing was changed")
                self.output.notice(f"{at_work}; waiting for it, up to {self.wait:g} seconds")
                held.enter_context(system.locked(holder, self.wait - patience))
            yield system
            system.transaction.show_menu()
            if system.running:
                from snaproot.boot.renewal import renew

                renew(system)

    def agreed(self, question: str) -> None:
        """Go on if `-y` was given or the answer is yes; see `Output.agreed`."""
        if not self.yes:
            self.output.agreed(question)


def _common(
    context: typer.Context,
    *,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, for scripts.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Wait this long for another snaproot (60)."),
    ] = None,
    sysroot: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            readable=False,
            help="Work on the system whose top level is mounted at DIR.",
        ),
    ] = None,
    esp: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            readable=False,
            help="Its EFI system partition, mounted at DIR, or a copy of it.",
        ),
    ] = None,
) -> Call:
    """Merge the common options with those given before the verb; the later one wins."""
    before: Call = context.obj
    before.output.json = before.output.json or json
    return Call(
        output=before.output,
        yes=yes or before.yes,
        wait=before.wait if wait is None else wait,
        sysroot=sysroot or before.sysroot,
        esp=esp or before.esp,
    )


_COMMON = inspect.signature(_common, eval_str=True).parameters


def verb(
    *examples: str,
    name: str = "",
    alias: str = "",
    group: str = "",
    verbatim: bool = False,
    bare: Mapping[str, str] | None = None,
) -> Callable[[Verb], Verb]:
    """Make a function a verb: its first parameter is the `Call`, its docstring the help.

    `verbatim` passes every word after the first one on, options included. `group` is the word
    before it, made known by `grouped`. `bare` has the values of options that may stand without.
    """

    def register(function: Verb) -> Verb:
        help = _help(inspect.cleandoc(function.__doc__ or ""), examples)
        settings = {"allow_interspersed_args": not verbatim}
        home = _groups[group] if group else app
        kind = _with_bare(bare) if bare else None
        add = functools.partial(home.command, cls=kind, help=help, context_settings=settings)
        add(name or function.__name__)(_with_common(function))
        if alias:
            add(alias, hidden=True)(_with_common(function))
        return function

    return register


def _with_bare(bare: Mapping[str, str]) -> type[TyperCommand]:
    """Let options stand without their `=VALUE`: typer's own are flags, or take the next word."""

    class Command(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer's
            said = [f"{word}={bare[word]}" if word in bare else word for word in args]
            return super().parse_args(ctx, said)

    return Command


def _with_common(function: Verb) -> Callable[..., ExitCode | None]:
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    parameters = [*own, *_COMMON.values()]

    def command(**given: Any) -> ExitCode | None:  # noqa: ANN401 - typer converts by the signature
        common = {parameter: given.pop(parameter) for parameter in _COMMON}
        common["context"].obj = _common(**common)
        return function(common["context"].obj, **given)

    # What typer reads: one list of parameters, the verb's own first.
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    )
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _help(text: str, examples: tuple[str, ...]) -> str:
    # \b: typer's mark for a paragraph whose lines stay as they are.
    lines = "\n".join(f"  {example}" for example in examples)
    return f"{text}\n\n\b\nExamples:\n{lines}"


_groups: dict[str, typer.Typer] = {}


def grouped(name: str, text: str, *examples: str) -> None:
    """Make a word under which there are verbs; it has the common options too."""

    def nothing(_: Call) -> None:
        """Merge the options that stand between the two words."""

    group = typer.Typer(rich_markup_mode=None, context_settings=app.info.context_settings)
    group.callback()(_with_common(nothing))
    app.add_typer(group, name=name, help=_help(text, examples))
    _groups[name] = group


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"snaproot {__version__}")
        raise typer.Exit


def _every(
    _: Call,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """Every update of a Linux root as a transaction.

    An upgrade is built in a copy of the root, proved, and tried at the next boot; the running
    system is never touched.
    """


app.callback(help=inspect.cleandoc(_every.__doc__ or ""))(_with_common(_every))

"""What people and scripts see: tables, progress, questions, and one JSON object with `--json`.

On a terminal rich draws; elsewhere there are plain lines and aligned columns. Results go to stdout,
everything said on the way to stderr. The only importer of rich, and that late.
"""

import json
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TextIO

from snaproot.errors import SnaprootError, UsageError
from snaproot.wording import size as size  # noqa: PLC0414 - whoever prints finds it here

if TYPE_CHECKING:
    from snaproot.packages import Progress, Report

FORMAT = 1
"""The format number that every JSON object begins with."""

_GAP = "  "
_SURROGATE = re.compile("[\ud800-\udfff]")
_SHORTEST = 8  # characters that are left of a cell
_MEASURE = 100  # characters: longer lines are hard to read


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under headings.

    `right` names the headings whose cells are numbers, `cut` those whose cells may be shortened
    where a terminal is narrow, the first one first.
    """

    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    right: frozenset[str] = frozenset()
    cut: tuple[str, ...] = ()


@dataclass(slots=True)
class Output:
    """Where one run of snaproot writes. `json` becomes true when the option has been read."""

    json: bool = False
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    in_: TextIO = field(default_factory=lambda: sys.stdin)
    muted: bool = False

    def result(self, shape: Mapping[str, object], text: Callable[[], None]) -> None:
        """Print the JSON object if that is what was asked for, else let `text` write."""
        if not self.json:
            text()
            return
        written = json.dumps({"format": FORMAT, **shape}, indent=1, ensure_ascii=False)
        # A file's name that is not UTF-8 would leave as bytes that are no JSON (RFC 8259, 8.2).
        self.out.write(_SURROGATE.sub(lambda found: f"\\u{ord(found.group()):04x}", written))
        self.out.write("\n")
        self.out.flush()

    def say(self, line: str = "") -> None:
        """Print one line of a result for people."""
        if not self.json:
            self._write(self.out, line)

    def paragraph(self, text: str, indent: int = 0) -> None:
        """Print a sentence or more, wrapped where a terminal would break words."""
        self.say(_wrapped(text, self.out, indent))

    def aside(self, line: str) -> None:
        """Print one line that is no result: what a command says, what recovery did."""
        self._write(self.err if self.json else self.out, line)

    def notice(self, line: str) -> None:
        """Print what was found and settled on the way."""
        if not self.muted:
            self.announce(line)

    def announce(self, line: str) -> None:
        """Print what nobody asked for and everybody has to know."""
        self._write(self.err, _wrapped(f"snaproot: {line}", self.err))

    @contextmanager
    def without_notices(self) -> Iterator[None]:
        """Keep quiet about steps that are the very thing that was asked for."""
        self.muted = True
        try:
            yield
        finally:
            self.muted = False

    def table(self, table: Table) -> None:
        """Draw a table on a terminal; print aligned columns elsewhere."""
        if self.out.isatty():
            _draw(table, self.out)
            return
        for line in aligned(table):
            self._write(self.out, line)

    def error(self, error: SnaprootError) -> None:
        """Say what went wrong and what may help; with `--json` also as an object on stdout."""
        self._write(self.err, _wrapped(f"snaproot: {error}", self.err))
        if error.hint:
            self._write(self.err, _wrapped(f"hint: {error.hint}", self.err))
        if self.json:
            self.result({"error": error_shape(error)}, lambda: None)

    def end_line(self) -> None:
        """Leave the line in which a terminal has echoed ^C."""
        if self.err.isatty():
            self._write(self.err, "")

    def agreed(self, question: str) -> None:
        """Ask, and return if the answer is yes.

        Raises UsageError where nobody can answer, SnaprootError if the answer is no.
        """
        if self.json or not (self.in_.isatty() and self.out.isatty()):
            raise UsageError(
                f"nobody is here to answer “{question}”; nothing was changed",
                hint="-y answers yes, -n only shows what would be done",
            )
        self.out.write(f"{question} [y/N] ")
        self.out.flush()
        if self.in_.readline().strip().lower() not in {"y", "yes"}:
            raise SnaprootError("the answer was no; nothing was changed")

    @contextmanager
    def progress(self) -> "Iterator[Report]":
        """Show steps as they come: a bar on a terminal, a line for each elsewhere."""
        if self.err.isatty():
            with _bar(self.err) as report:
                yield report
        else:
            yield Steps(lambda line: self._write(self.err, line))

    def _write(self, stream: TextIO, line: str) -> None:
        stream.write(f"{line}\n")
        stream.flush()


@dataclass(slots=True)
class Steps:
    """Reports each step once, when it begins."""

    write: Callable[[str], None]
    last: str = ""

    def __call__(self, progress: "Progress") -> None:
        if progress.step != self.last:
            self.last = progress.step
            self.write(f"  {progress.step} …")


def error_shape(error: SnaprootError) -> dict[str, object]:
    """Describe an error for scripts; some kinds have more to tell."""
    return {
        "message": str(error),
        "hint": error.hint or None,
        "exit_code": int(error.exit_code),
        **error.details(),
    }


def aligned(table: Table) -> list[str]:
    """Align a table's columns with spaces, no trailing ones. Pure."""
    lines = [table.headings, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.headings))]
    right = [heading in table.right for heading in table.headings]
    return [
        _GAP.join(
            cell.rjust(width) if numbers else cell.ljust(width)
            for cell, width, numbers in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    ]


def fitted(table: Table, width: int) -> Table:
    """Shorten the cells that may be cut, so that a line fits into a width. Pure."""
    for heading in table.cut:
        table = _narrowed(table, heading, width)
    return table


def _narrowed(table: Table, heading: str, width: int) -> Table:
    place = table.headings.index(heading)
    widths = [max(map(len, column)) for column in zip(table.headings, *table.rows, strict=True)]
    room = width - sum(widths) + widths[place] - len(_GAP) * (len(widths) - 1)
    room = max(room, _SHORTEST)
    rows = [(*row[:place], shortened(row[place], room), *row[place + 1 :]) for row in table.rows]
    return replace(table, rows=rows)


def shortened(text: str, length: int) -> str:
    """Cut a text to a number of characters, and show that it was cut. Pure."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _wrapped(text: str, stream: TextIO, indent: int = 0) -> str:
    """Break lines between words where a terminal would break them anywhere."""
    if not stream.isatty():
        return text
    return textwrap.fill(
        text,
        min(os.get_terminal_size(stream.fileno()).columns or _MEASURE, _MEASURE),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _draw(table: Table, out: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    console = Console(file=out, highlight=False)
    drawn = Drawn(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in table.headings:
        justify = "right" if heading in table.right else "left"
        whole = bool(table.cut) and heading != table.headings[-1]
        drawn.add_column(heading, justify=justify, overflow="fold", no_wrap=whole)  # type: ignore[arg-type]
    for row in fitted(table, console.width).rows:
        drawn.add_row(*(Text(cell) for cell in row))
    console.print(drawn)


@contextmanager
def _bar(err: TextIO) -> "Iterator[Report]":
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(24))
    with Bar(*columns, TimeElapsedColumn(), console=Console(file=err), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def report(progress: "Progress") -> None:
            bar.update(
                task,
                description=progress.step,
                total=None if progress.fraction is None else 1.0,
                completed=progress.fraction or 0.0,
            )

        yield report

"""What people and scripts see."""

import io
import json
import os
import pty
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TextIO

import pytest

from snaproot.errors import CommandFailed, Refused, SnaprootError, UsageError
from snaproot.output import Output, Steps, Table, aligned, error_shape, fitted, size
from snaproot.packages import Progress

TABLE = Table(("ID", "SIZE"), [("b1", "9"), ("b23", "1234")], right=frozenset({"SIZE"}))


@dataclass
class Streams:
    output: Output
    out: io.StringIO
    err: io.StringIO


def piped(*, json: bool = False) -> Streams:
    out, err = io.StringIO(), io.StringIO()
    return Streams(Output(json=json, out=out, err=err, in_=io.StringIO("y\n")), out, err)


@dataclass
class Terminal:
    """A real pseudo-terminal: what a program has of it, and the descriptor of the other side."""

    in_: TextIO
    out: TextIO
    person: int

    def output(self, *, json: bool = False) -> Output:
        return Output(json=json, out=self.out, err=self.out, in_=self.in_)

    def shown(self) -> bytes:
        """Everything that has been written so far."""
        os.set_blocking(self.person, False)
        drawn = b""
        with suppress(BlockingIOError):
            while more := os.read(self.person, 65536):
                drawn += more
        return drawn


@contextmanager
def terminal() -> Iterator[Terminal]:
    person, program = pty.openpty()
    reading = os.fdopen(program, "r")
    writing = os.fdopen(os.dup(program), "w")
    with reading, writing:
        yield Terminal(reading, writing, person)
    os.close(person)


def test_columns_are_aligned_and_numbers_to_the_right() -> None:
    assert aligned(TABLE) == ["ID   SIZE", "b1      9", "b23  1234"]


def test_a_pipe_gets_plain_columns() -> None:
    streams = piped()
    streams.output.table(TABLE)
    assert streams.out.getvalue() == "ID   SIZE\nb1      9\nb23  1234\n"


def test_markup_in_cells_is_text_on_a_terminal() -> None:
    with terminal() as sitting:
        sitting.output().table(Table(("COMMAND",), [("sed s/[red]/x/",)]))
        assert b"sed s/[red]/x/" in sitting.shown()


def test_json_is_one_object_with_a_format_and_no_words_for_people() -> None:
    streams = piped(json=True)
    streams.output.say("words")
    streams.output.aside("a command's words")
    streams.output.result({"id": "bä1"}, lambda: pytest.fail("no text with --json"))
    assert json.loads(streams.out.getvalue()) == {"format": 1, "id": "bä1"}
    assert streams.err.getvalue() == "a command's words\n"


def test_a_name_that_is_not_utf8_is_json_all_the_same() -> None:
    streams, name = piped(json=True), b"im\xffage".decode(errors="surrogateescape")
    streams.output.result({"path": name}, lambda: None)
    written = streams.out.getvalue().encode()
    assert json.loads(written)["path"] == name


def test_an_error_is_a_line_and_a_hint_on_stderr() -> None:
    streams = piped()
    streams.output.error(Refused("no; nothing was changed", hint="ask again"))
    assert streams.err.getvalue() == "snaproot: no; nothing was changed\nhint: ask again\n"
    assert streams.out.getvalue() == ""


def test_a_terminal_breaks_errors_between_words_and_no_option() -> None:
    with terminal() as sitting:
        termios.tcsetwinsize(sitting.person, (24, 40))
        sitting.output().error(
            Refused("b1 cannot be what comes next here", hint="use --stage-only")
        )
        lines = sitting.shown().decode().splitlines()
    assert lines == ["snaproot: b1 cannot be what comes next", "here", "hint: use --stage-only"]


def test_only_a_terminal_gets_an_empty_line_where_it_echoed_ctrl_c() -> None:
    streams = piped()
    streams.output.end_line()
    assert streams.err.getvalue() == ""
    with terminal() as sitting:
        sitting.output().end_line()
        assert sitting.shown() == b"\r\n"


def test_a_narrow_terminal_cuts_the_column_that_may_be_cut() -> None:
    table = Table(("ID", "ORIGIN", "NOW"), [("b1", "run touch /usr/lib/marker", "default")])
    assert fitted(table, 20) == table
    cut = fitted(replace(table, cut=("ORIGIN",)), 26)
    assert aligned(cut)[1] == "b1  run touch /u…  default"
    assert fitted(replace(table, cut=("ORIGIN",)), 10).rows[0][1] == "run tou…"


def test_a_second_column_is_cut_only_where_the_first_is_not_enough() -> None:
    row = ("run touch /usr/lib/marker", "6.12.117+deb13-cloud-amd64")
    table = Table(("ORIGIN", "KERNEL"), [row], cut=("ORIGIN", "KERNEL"))
    assert fitted(table, 40).rows == [("run touch /…", row[1])]
    assert fitted(table, 20).rows == [("run tou…", "6.12.117+…")]


def test_an_error_without_a_hint_has_null_for_scripts() -> None:
    assert error_shape(Refused("no"))["hint"] is None


def test_an_error_is_an_object_as_well_with_json() -> None:
    streams = piped(json=True)
    streams.output.error(Refused("no", hint="ask again"))
    assert json.loads(streams.out.getvalue())["error"] == {
        "message": "no",
        "hint": "ask again",
        "exit_code": 3,
    }


def test_a_failed_commands_status_is_told() -> None:
    shape = error_shape(CommandFailed(("apt-get", "upgrade"), 100, "E: no"))
    assert (shape["exit_code"], shape["status"]) == (1, 100)


def test_a_question_with_nobody_to_answer_is_a_usage_error() -> None:
    streams = piped()
    with pytest.raises(UsageError, match="nobody is here to answer") as error:
        streams.output.agreed("Go?")
    assert "-y" in error.value.hint


@pytest.mark.parametrize("answer", ["y", "Y", "yes", " yes "])
def test_yes_goes_on(answer: str) -> None:
    with terminal() as sitting:
        os.write(sitting.person, f"{answer}\n".encode())
        sitting.output().agreed("Go?")


@pytest.mark.parametrize("answer", ["", "n", "no", "yup"])
def test_anything_else_does_not(answer: str) -> None:
    with terminal() as sitting:
        os.write(sitting.person, f"{answer}\n".encode())
        with pytest.raises(SnaprootError, match="nothing was changed"):
            sitting.output().agreed("Go?")


def test_with_json_nobody_is_asked_even_on_a_terminal() -> None:
    with terminal() as sitting:
        os.write(sitting.person, b"y\n")
        with pytest.raises(UsageError):
            sitting.output(json=True).agreed("Go?")


def test_a_pipe_gets_each_step_once() -> None:
    lines: list[str] = []
    report = Steps(lines.append)
    for fraction in (None, 0.5, 1.0):
        report(Progress("unpacking", fraction))
    report(Progress("setting up"))
    assert lines == ["  unpacking …", "  setting up …"]


def test_a_terminal_gets_a_bar_that_leaves_nothing_behind() -> None:
    with terminal() as sitting:
        with sitting.output().progress() as report:
            report(Progress("unpacking", 0.5))
        drawn = sitting.shown()
    assert b"unpacking" in drawn
    assert drawn.endswith(b"\x1b[2K")  # the line is erased last


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536 * 1024, "1.5 MiB"),
        (-3 * 1024**2, "-3.0 MiB"),
        (5 * 1024**4, "5.0 TiB"),
        (5000 * 1024**4, "5000.0 TiB"),
    ],
)
def test_sizes_are_readable(number: int, text: str) -> None:
    assert size(number) == text

"""Entries and their index: written, read back, and never more than values."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot.bootloader import Bootable, entry
from snaproot.bootloader.entry import MOST_LISTED, ORIGINAL, WIDTH
from snaproot.errors import Refused

BOOTABLE = Bootable(
    id="b1",
    title="upgrade of 2026-11-24",
    filesystem="11111111-2222-3333-4444-555555555555",
    prefix="/@snaproot/environments/b1/root",
    root=Path("/nowhere"),
    kernel="/boot/vmlinuz-6.1",
    initramfs="/boot/initrd.img-6.1",
    arguments=("root=UUID=1", "rootflags=subvol=@snaproot/environments/b1/root", "quiet"),
)
ASCII = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
SHOWN = st.characters(exclude_categories=["C", "Zl", "Zp"])


def test_an_entry_says_what_it_boots() -> None:
    assert entry.render(entry.described(BOOTABLE)) == (
        "# Written by snaproot, which will write it again.\n"
        "echo 'Loading b1: upgrade of 2026-11-24'\n"
        "search --no-floppy --fs-uuid --set=root '11111111-2222-3333-4444-555555555555'\n"
        "set kernel='/@snaproot/environments/b1/root/boot/vmlinuz-6.1'\n"
        "set initramfs='/@snaproot/environments/b1/root/boot/initrd.img-6.1'\n"
        'if [ -s "$kernel" -a -s "$initramfs" ]; then\n'
        "    if linux \"$kernel\" 'root=UUID=1' "
        "'rootflags=subvol=@snaproot/environments/b1/root' 'quiet' $args; then\n"
        "        set loaded=half\n"
        '        if initrd "$initramfs"; then set loaded=yes; fi\n'
        "    fi\n"
        "else\n"
        "    set loaded=missing\n"
        "fi\n"
    )


@given(
    title=st.text(SHOWN),
    path=st.text(SHOWN).map("/".__add__),
    arguments=st.lists(
        st.text(SHOWN, min_size=1).filter(
            lambda a: not set(a) & set("'\"\\-") and not a.startswith(("snaproot.", "rootflags="))
        )
    ),
)
def test_whatever_is_written_reads_back(title: str, path: str, arguments: list[str]) -> None:
    strange = replace(BOOTABLE, title=title, prefix=path, arguments=tuple(arguments))
    wanted = entry.described(strange)
    assert wanted.title == entry.legible(title)
    assert entry.parse(entry.render(wanted)) == wanted
    assert wanted.arguments == tuple(arguments)


@given(st.text(SHOWN))
def test_a_value_stays_one_word(value: str) -> None:
    assert as_grub_reads(entry.quoted(value)) == value
    assert entry.unquoted(entry.quoted(value)) == value


def as_grub_reads(word: str) -> str:
    """Follow the rules of grub_script.yylex.l; bare characters are none of ours."""
    read, inside, escaped = "", False, False
    for character in word:
        if inside or escaped:
            escaped = False
            if inside and character == "'":
                inside = False
            else:
                read += character
        else:
            inside, escaped = character == "'", character == "\\"
            assert inside or escaped, word
    assert not inside
    return read


@pytest.mark.parametrize(
    "changes",
    [
        {"prefix": "/@/a\nb"},
        {"prefix": "/@/\udcff"},
        {"prefix": "(hd0)/x"},
        {"kernel": "boot/vmlinuz", "prefix": ""},
        {"filesystem": "1' reboot"},
        {"filesystem": ""},
        {"id": "1b"},
        {"id": ORIGINAL},
        {"arguments": ("a\nb",)},
        {"arguments": ("it's",)},
        {"arguments": ("a\\b",)},
        {"arguments": ('a="b',)},
        {"arguments": ("",)},
        {"arguments": ("quiet", "--")},
        {"arguments": ("snaproot.trial=d9.1",)},
        {"arguments": ('"snaproot.trial=d9.1"',)},
        {"arguments": ("rootflags=a", "rootflags=b")},
        {"arguments": ("x" * 1700,)},
    ],
)
def test_what_cannot_be_said_to_the_kernel_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(Refused, match="nothing was changed"):
        entry.described(replace(BOOTABLE, **changes))  # type: ignore[arg-type]


def test_quotes_that_grub_sets_itself_are_taken_away() -> None:
    spaced = replace(BOOTABLE, arguments=('dyndbg="file a +p"',))
    assert entry.described(spaced).arguments == ("dyndbg=file a +p",)


@pytest.mark.parametrize(
    ("title", "says"),
    [
        ("a\nreboot", "a?reboot"),
        ("a\x1b[2J", "a?[2J"),
        ("gnp.\u202ecod", "gnp.?cod"),
        ("\udcff\u00e9", "??"),
        ("x" * 75, "x" * 72 + ".."),
        ("'; reboot; '$(x) \\", "'; reboot; '$(x) \\"),
    ],
)
def test_what_a_title_cannot_show_costs_no_boot(title: str, says: str) -> None:
    assert entry.described(replace(BOOTABLE, title=title)).title == says
    assert entry.listed(entry.index({"b1": title}))["b1"] == entry.legible(f"b1  {title}")[4:]


@given(st.text())
def test_a_title_fits_a_line_of_a_terminal(title: str) -> None:
    says = entry.legible(title)
    assert len(says) <= WIDTH < 80
    assert says.isascii()
    assert says.isprintable()


@pytest.mark.parametrize("text", ["", "reboot\n", "\0" * 400])
def test_what_is_not_ours_is_no_entry(text: str) -> None:
    assert entry.parse(text) is None


def test_a_line_more_is_no_entry() -> None:
    text = entry.render(entry.described(BOOTABLE))
    assert entry.parse(text + "reboot\n") is None
    assert entry.parse(text[:-3]) is None
    assert entry.parse(text.replace("'quiet'", "'quiet' quiet")) is None


def test_the_index_has_the_newest_first_and_the_original_last() -> None:
    text = entry.index({"b1": "one", ORIGINAL: "it's old", "b3": "three", "b2": "two"})
    assert list(entry.listed(text)) == ["b3", "b2", "b1", ORIGINAL]
    assert entry.listed(text)[ORIGINAL] == "it's old"


def test_the_index_ends_where_nobody_scrolls() -> None:
    titles = {f"b{number:03}": "" for number in range(MOST_LISTED + 20)} | {ORIGINAL: ""}
    listed = list(entry.listed(entry.index(titles)))
    assert (len(listed), listed[0], listed[-1]) == (MOST_LISTED, "b069", ORIGINAL)


def test_the_index_keeps_what_is_to_be_kept_however_old() -> None:
    titles = {f"b{number:03}": "" for number in range(MOST_LISTED + 20)} | {ORIGINAL: ""}
    listed = list(entry.listed(entry.index(titles, {"b002", "b060", "b999"})))
    assert (len(listed), listed[-3:]) == (MOST_LISTED, ["b022", "b002", ORIGINAL])
    everyone = list(entry.listed(entry.index(titles, titles)))
    assert everyone == [*sorted(titles.keys() - {ORIGINAL}, reverse=True), ORIGINAL]


@given(
    st.dictionaries(
        st.from_regex(r"b[0-9a-z]{1,6}", fullmatch=True), st.text(ASCII, max_size=60), max_size=50
    )
)
def test_any_title_comes_back_from_the_index(titles: dict[str, str]) -> None:
    assert entry.listed(entry.index(titles)) == titles


def test_a_garbled_index_has_what_can_be_read() -> None:
    assert entry.listed("menuentry 'b1  x' --id b1 {\nmenuentry 'b2\n") == {"b1": "x"}

"""Documents that are nearly right: strategies that edit some, as bytes or as JSON."""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from copy import deepcopy

from hypothesis import strategies as st

Path = tuple[str | int, ...]

_PIECES = st.binary(max_size=4) | st.sampled_from(
    [b"\0", b"\xff", b"\x80", b"\n\n", b'"', b"{}", b"[[", b"\\ud800", b"1e999", b"\xe2\x80\x94 "]
)
_ODD = ("null", "true", "0", "-1", "1e400", "1.5", '""', '"-1"', '"\\u001b[31m"', '"\\ud800"')
_HOLDERS = ("[]", "{}", "[[]]", '{"": {}}')
_MOST, _LONGEST = 3, 40
"""Edits of one document, with more only the first would be looked at; bytes of one edit."""


class Documents:
    """Some of one kind, shown by that name alone: Hypothesis would print all of them."""

    def __init__(self, kind: str, contents: Sequence[bytes]) -> None:
        self.kind, self.contents = kind, contents

    def __repr__(self) -> str:
        return self.kind


@st.composite
def edited_bytes(draw: st.DrawFn, documents: Documents) -> bytes:
    """Cut, put in, doubled, moved or flipped somewhere."""
    content = draw(st.sampled_from(documents.contents))
    for _ in range(draw(st.integers(1, _MOST))):
        content = draw(_edit(content, draw(st.sampled_from(documents.contents))))
    return content


@st.composite
def _edit(draw: st.DrawFn, content: bytes, other: bytes = b"") -> bytes:
    begin = draw(st.integers(0, len(content)))
    end = begin + draw(st.integers(1, _LONGEST))
    match draw(st.sampled_from(["cut", "put", "replace", "flip", "double", "end", "other"])):
        case "cut":
            return content[:begin] + content[end:]
        case "put":
            return content[:begin] + draw(_PIECES) + content[begin:]
        case "replace":
            return content[:begin] + draw(_PIECES) + content[end:]
        case "flip":
            return _flipped(content, begin, draw(st.integers(0, 7)))
        case "double":
            return content[:end] + content[begin:]
        case "end":
            return content[:begin]
        case _:
            return content[:begin] + other[begin:end] + content[end:]


def _flipped(content: bytes, at: int, bit: int) -> bytes:
    return (
        content[:at] + bytes(one ^ (1 << bit) for one in content[at : at + 1]) + content[at + 1 :]
    )


@st.composite
def edited_json(draw: st.DrawFn, documents: Documents) -> bytes:
    """Edited by its structure: values gone, odd, doubled, of another document, or of base64."""
    wholes = [json.loads(content) for content in documents.contents]
    whole = draw(st.sampled_from(wholes))
    changed = deepcopy(whole)
    for _ in range(draw(st.integers(1, _MOST))):
        path = draw(st.sampled_from([*paths(changed)] or [()]))
        changed = _replaced(changed, path, draw(_change(changed, path, wholes)))
    return json.dumps(changed).encode()


_GONE = object()


@st.composite
def _change(draw: st.DrawFn, whole: object, path: Path, others: Sequence[object]) -> object:
    value = at(whole, path)
    if isinstance(value, str) and draw(st.booleans()):
        return draw(_text(value))
    if isinstance(value, list) and draw(st.booleans()):
        return draw(st.sampled_from([value[::-1], deepcopy([*value, *value])]))
    match draw(st.sampled_from(["gone", "odd", "other"])):
        case "gone":
            return _GONE
        case "odd":
            return json.loads(draw(st.sampled_from(_ODD + _HOLDERS)))
        case _:
            return deepcopy(at(draw(st.sampled_from(others)), path))


@st.composite
def _text(draw: st.DrawFn, text: str) -> str:
    """Edit what stands in base64, else the text itself; a number becomes another."""
    if text.isdecimal():
        return str(int(text) + draw(st.integers(-2, 2)))
    try:
        octets = b64decode(text, validate=True)
    except ValueError:
        return draw(_edit(text.encode(errors="replace"))).decode(errors="replace")
    return b64encode(draw(_edit(octets))).decode()


def paths(value: object, above: Path = ()) -> Iterator[Path]:
    """Name all that is in a document, from the outside inwards."""
    inner: Sequence[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        inner = [*value.items()]
    elif isinstance(value, list):
        inner = [*enumerate(value)]
    for name, one in inner:
        yield (*above, name)
        yield from paths(one, (*above, name))


def at(whole: object, path: Path) -> object:
    """Return what is at a path; nothing where there is none."""
    for step in path:
        if isinstance(whole, dict):
            whole = whole.get(step)
        elif isinstance(whole, list) and isinstance(step, int):
            whole = whole[step] if step < len(whole) else None
        else:
            return None
    return whole


def _replaced(whole: object, path: Path, value: object) -> object:
    if not path:
        return whole if value is _GONE else value
    holder, last = at(whole, path[:-1]), path[-1]
    if isinstance(holder, list) and isinstance(last, int):
        holder[last : last + 1] = [] if value is _GONE else [value]
    elif isinstance(holder, dict) and value is _GONE:
        del holder[last]
    elif isinstance(holder, dict):
        holder[last] = value
    return whole

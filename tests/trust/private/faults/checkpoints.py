"""Faults of inclusion proofs and of the checkpoints that they lead to."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tests.trust.private import keys, log, note
from tests.trust.private.case import Case, Make, case
from tests.trust.private.edits import CHECKPOINT, PROOF, change, drop, flipped, put
from tests.trust.private.encoding import base64
from tests.trust.private.instance import Instance
from tests.trust.private.log import Entry, Log
from tests.trust.private.note import Head

_HASHES = f"{PROOF}/hashes"
_ZERO = base64(bytes(32))


def _edited(path: str, how: Callable[[Any], object], version: int = 2) -> Make:
    return lambda it: case(it, rekor=version, edit=change(path, how))


def _says(how: Callable[[Head], Head], version: int = 2) -> Make:
    return lambda it: case(it, rekor=version, entry=Entry(head=how))


def _signed_by(version: int, liar: Callable[[Instance], Log]) -> Make:
    """Have somebody else sign what the log says; entry and promise are the log's own."""

    def make(it: Instance) -> Case:
        other, honest = liar(it), it.logs[version]
        swap = change(CHECKPOINT, lambda _: log.checkpoint(other, honest.head, (), it.now))
        return case(it, rekor=version, edit=swap)

    return make


def _text(how: Callable[[Head], str]) -> Make:
    """Let the log sign a text that is no checkpoint, or a poor one."""

    def make(it: Instance) -> Case:
        signs = it.logs[2]

        def say(_: object) -> str:
            text = how(signs.head)
            return f"{text}\n" + note.line(signs.name, signs.id, signs.key.sign(text.encode()))

        return case(it, edit=change(CHECKPOINT, say))

    return make


def _forged_root(it: Instance) -> Case:
    """Have proof and checkpoint agree on a root that the entry does not lead to."""
    says = Entry(head=lambda head: replace(head, root=bytes(32)))
    return case(it, entry=says, edit=put(f"{PROOF}/rootHash", _ZERO))


def _signature(how: Callable[[str], str]) -> Callable[[str], str]:
    def changed(envelope: str) -> str:
        start, signature = envelope.rstrip("\n").rsplit(" ", 1)
        return f"{start} {how(signature)}\n"

    return changed


_NOTES: Mapping[str, Make] = {
    "checkpoint-missing": lambda it: case(it, edit=drop(f"{PROOF}/checkpoint")),
    "checkpoint-missing-v1": lambda it: case(it, rekor=1, edit=drop(f"{PROOF}/checkpoint")),
    "checkpoint-empty": lambda it: case(it, edit=put(CHECKPOINT, "")),
    "checkpoint-garbled": lambda it: case(it, edit=put(CHECKPOINT, "a checkpoint")),
    "checkpoint-altered": _edited(CHECKPOINT, lambda text: text.replace("\n8\n", "\n9\n")),
    "checkpoint-key-other": _signed_by(2, lambda it: replace(it.logs[2], key=keys.ed25519())),
    "checkpoint-key-other-v1": _signed_by(1, lambda it: replace(it.logs[1], key=keys.p256())),
    "checkpoint-by-another-log": _signed_by(2, lambda it: it.logs[1]),
    "checkpoint-origin-other": _says(lambda head: replace(head, origin="other.example")),
    "checkpoint-origin-other-v1": _says(lambda head: replace(head, origin="other.example"), 1),
    "checkpoint-name-other": lambda it: case(
        it, entry=Entry(by=replace(it.logs[2], name="other.example"))
    ),
    "checkpoint-root-other": _says(lambda head: replace(head, root=bytes(32))),
    "checkpoint-root-short": _says(lambda head: replace(head, root=head.root[:-1])),
    "checkpoint-size-other": _says(lambda head: replace(head, size=head.size + 1)),
    "checkpoint-size-zero": _says(lambda head: replace(head, size=0)),
    "checkpoint-size-no-number": _text(
        lambda head: head.text.replace(f"\n{head.size}\n", "\nmany\n")
    ),
    "checkpoint-size-padded": _text(
        lambda head: head.text.replace(f"\n{head.size}\n", f"\n0{head.size}\n")
    ),
    "checkpoint-two-lines": _text(lambda head: f"{head.origin}\n{head.size}\n"),
    "checkpoint-origin-empty": _says(lambda head: replace(head, origin="")),
    "checkpoint-empty-line": _says(lambda head: replace(head, lines=("", "more"))),
    "checkpoint-no-blank-line": _edited(CHECKPOINT, lambda text: text.replace("\n\n", "\n")),
    "checkpoint-no-signature": _edited(CHECKPOINT, lambda text: text.partition("\n\n")[0] + "\n\n"),
    "checkpoint-no-last-newline": _edited(CHECKPOINT, lambda text: text[:-1]),
    "checkpoint-signature-short": _edited(CHECKPOINT, _signature(lambda _: base64(b"1234"))),
    "checkpoint-signature-flipped": _edited(CHECKPOINT, _signature(flipped)),
    "checkpoint-signature-not-base64": _edited(CHECKPOINT, _signature(lambda _: "*" * 92)),
    "checkpoint-of-lines-only": lambda it: case(it, edit=put(CHECKPOINT, "\n\n\n\n")),
}
_PROOFS: Mapping[str, Make] = {
    "proof-missing": lambda it: case(it, edit=drop(PROOF)),
    "proof-missing-v1": lambda it: case(it, rekor=1, edit=drop(PROOF)),
    "proof-empty": lambda it: case(it, edit=put(_HASHES, [])),
    "proof-truncated": _edited(_HASHES, lambda hashes: hashes[:-1]),
    "proof-too-long": _edited(_HASHES, lambda hashes: [*hashes, _ZERO]),
    "proof-corrupted": _edited(f"{_HASHES}/0", flipped),
    "proof-reversed": _edited(_HASHES, lambda hashes: hashes[::-1]),
    "proof-hash-short": _edited(f"{_HASHES}/0", lambda _: base64(bytes(31))),
    "proof-index-other": _edited(f"{PROOF}/logIndex", lambda index: str(int(index) - 1)),
    "proof-index-other-v1": _edited(f"{PROOF}/logIndex", lambda index: str(int(index) - 1), 1),
    "proof-index-beyond": lambda it: case(it, edit=put(f"{PROOF}/logIndex", "8")),
    "proof-size-other": _edited(f"{PROOF}/treeSize", lambda size: str(int(size) + 1)),
    "proof-size-smaller": _edited(f"{PROOF}/treeSize", lambda size: str(int(size) - 1)),
    "proof-size-zero": lambda it: case(it, edit=put(f"{PROOF}/treeSize", "0")),
    "proof-root-other": lambda it: case(it, edit=put(f"{PROOF}/rootHash", _ZERO)),
    "proof-root-forged": _forged_root,
}
CHECKPOINTS: Mapping[str, Make] = {**_NOTES, **_PROOFS}

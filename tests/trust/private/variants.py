"""What a verifier is to accept, by name: each kind of identity, content, log and rotation."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import product

from tests.trust.private import keys
from tests.trust.private.authority import Authority, Leaf
from tests.trust.private.case import Case, Make, case, statement
from tests.trust.private.certificates import MINUTE
from tests.trust.private.contents import Content
from tests.trust.private.encoding import Json
from tests.trust.private.identity import PERSON, USER, WORKFLOW, person, user, workflow
from tests.trust.private.instance import V01, V02, V03, How, Instance
from tests.trust.private.log import Entry
from tests.trust.private.note import quantum_witness, witness
from tests.trust.private.timestamps import Stamp

_THEN = timedelta()
_WHO = {
    "e-mail": (person(), PERSON),
    "user": (user(), USER),
    "workflow": (workflow(), WORKFLOW),
}
_WHAT: dict[str, Callable[[], Content | None]] = {
    "artifact": lambda: None,
    "statement": statement,
}
_LOGGED: dict[str, How] = {
    "v1": {"rekor": 1},
    "v2": {"rekor": 2},
    "v1 and timestamp": {"rekor": 1, "stamps": (Stamp(),)},
}


def _combined(who: str, what: str, logged: str) -> Make:
    identity, name = _WHO[who]
    how: How = {"who": Leaf(identity), **_LOGGED[logged]}
    return lambda it: case(it, _WHAT[what](), identity=name, **how)


def _rotated(it: Instance) -> Case:
    """Sign with keys that began an hour before those of somebody else, of the same names, ended."""
    old, before, since = it.foreign(), it.during(end=30 * MINUTE), it.during(-60 * MINUTE)
    root = it.trusted_root(
        cas=[old.ca.trusted(before), it.ca.trusted(since)],
        ct=[old.ct.trusted(before), it.ct.trusted(since)],
        logs=[old.logs[2].trusted(before), it.logs[2].trusted(since)],
        tsas=[old.tsa.trusted(before), it.tsa.trusted(since)],
    )
    return case(it, root=root)


def _before_rotation(it: Instance) -> Case:
    """Sign with keys that ended a minute later, and were followed by others."""
    new, before, since = it.foreign(), it.during(end=MINUTE), it.during(MINUTE)
    root = it.trusted_root(
        cas=[it.ca.trusted(before), new.ca.trusted(since)],
        ct=[it.ct.trusted(before), new.ct.trusted(since)],
        logs=[it.logs[1].trusted(before), new.logs[1].trusted(since)],
        tsas=[it.tsa.trusted(before), new.tsa.trusted(since)],
    )
    return case(it, root=root, rekor=1, stamps=(Stamp(),))


def _all(it: Instance, window: Json) -> Json:
    return it.trusted_root(
        cas=[it.ca.trusted(window)],
        ct=[it.ct.trusted(window)],
        logs=[one.trusted(window) for one in it.logs.values()],
        tsas=[it.tsa.trusted(window)],
    )


def _by_the_root(it: Instance) -> Case:
    return case(it, who=Leaf(by=Authority(it.ca.root, it.ca.root)))


HAPPY: dict[str, Make] = {
    **{" ".join(names): _combined(*names) for names in product(_WHO, _WHAT, _LOGGED)},
    "bundle 0.1": lambda it: case(it, media=V01, rekor=1),
    "bundle 0.2": lambda it: case(it, media=V02),
    "bundle 0.3, as it was named first": lambda it: case(it, media=V03),
    "issuer in .8 only": lambda it: case(it, who=Leaf(replace(person(), issuer_in=(8,)))),
    "issued by the root": _by_the_root,
    "P-384": lambda it: case(it, who=Leaf(key=keys.p384)),
    "P-384 v1": lambda it: case(it, who=Leaf(key=keys.p384), rekor=1),
    "P-384 statement": lambda it: case(it, statement(), who=Leaf(key=keys.p384)),
    "three timestamps": lambda it: case(it, stamps=[Stamp(serial=n) for n in range(3)]),
    "32 timestamps": lambda it: case(it, stamps=[Stamp(serial=n) for n in range(32)]),
    "timestamp without certificate": lambda it: case(it, stamps=[Stamp(bare=True)]),
    "timestamp at the certificate's end": lambda it: case(it, stamps=[Stamp(late=9 * MINUTE)]),
    "logged at the certificate's start": lambda it: case(it, rekor=1, entry=Entry(late=-MINUTE)),
    "cosigned": lambda it: case(it, entry=Entry(witnesses=(witness(),))),
    "cosigned v1": lambda it: case(it, rekor=1, entry=Entry(witnesses=(witness(),))),
    "cosigned with ML-DSA-44": lambda it: case(it, entry=Entry(witnesses=(quantum_witness(),))),
    "cosigned by two": lambda it: case(it, entry=Entry(witnesses=(witness(), quantum_witness()))),
    "checkpoint with another line": lambda it: case(
        it, entry=Entry(head=lambda head: replace(head, lines=("Timestamp: 1",)))
    ),
    "rotated": _rotated,
    "before a rotation": _before_rotation,
    "windows that begin then": lambda it: case(it, root=_all(it, it.during(-MINUTE))),
    "windows that end then": lambda it: case(it, rekor=1, root=_all(it, it.during(end=_THEN))),
    "window of the timestamp authority that ends then": lambda it: case(
        it, root=it.trusted_root(tsas=[it.tsa.trusted(it.during(end=_THEN))])
    ),
}

"""What is believed here: one policy and what belongs to it, from one place.

What was delivered under a pinned root holds, and nothing beside it. Without a pin it is the first
directory that has a policy: the admin's, then the vendor's. Without any it is the one that snaproot
ships. A policy that cannot be read is not the next one's turn: nothing is believed then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePath

from snaproot.errors import ConfigError
from snaproot.hashing import sha256
from snaproot.trust import evaluation, floors, modes, policyfile, policylint, revocationlist
from snaproot.trust.facts import Distrusted, Unverifiable
from snaproot.trust.floors import Floors
from snaproot.trust.policy import SHIPPED, Policy
from snaproot.trust.policylint import Remark
from snaproot.trust.revocationlist import Revocations
from snaproot.trust.sigstore import reading
from snaproot.trust.store import POLICY, REVOCATIONS, TRUSTED_ROOT, Check, Configuration, Store

DIRECTORIES = (
    Path("/etc/snaproot/trust"),
    Path("/run/snaproot/trust"),
    Path("/usr/lib/snaproot/trust"),
)
"""Where a policy may lie that nobody delivers; the first that has one holds."""


@dataclass(frozen=True, slots=True)
class Believed:
    """The policy in force, `origin` says whose, and the files that it rests on.

    `trusted_root` and `revocations` are none where it names none. `floors` are outside every boot
    environment; without a system that is adopted there are none. `kept` says that it has floors of
    its own there: the admin's, as `/etc` goes back with a root.
    """

    origin: str
    policy: Policy
    trusted_root: bytes | None = None
    revocations: Revocations | None = None
    floors: Floors = field(default_factory=Floors)
    updated: datetime | None = None
    expires: datetime | None = None
    kept: bool = False

    @property
    def seen(self) -> Mapping[str, int]:
        """Name the floors that follow from its having been used; a delivery has raised its own."""
        if not self.kept:
            return {}
        listed = self.revocations.version if self.revocations else 0
        names = _floor_names(self.origin)
        return {names[floors.POLICY]: self.policy.version, names[floors.REVOCATIONS]: listed}

    @property
    def renewal(self) -> str:
        """Say who has to renew it."""
        if self.updated is not None:
            return "fetch a newer one: snaproot trust update"
        return f"the policy, and what it names, is renewed by whoever wrote {self.origin}"

    @property
    def root_digest(self) -> str:
        """The SHA-256 of the trusted root, in hexadecimal; empty without one."""
        return "" if self.trusted_root is None else sha256(self.trusted_root).hexdigest()


def load(
    store: Store | None,
    directories: Sequence[Path] = DIRECTORIES,
    *,
    within: Path = Path("/"),
    running: bool = True,
) -> Believed:
    """Read what is believed; `within` is for `modes.read`.

    The first of the directories is the admin's. What lies there has floors, unless it is not the
    system's own: `running` is false with `--sysroot`, where the store is another system's.
    Raises ConfigError, Distrusted, Unverifiable: then nothing is believed.
    """
    found = store.configuration() if store else None
    lowest = store.floors() if store else Floors()
    if found is not None:
        return _delivered(found, lowest)
    for directory in directories:
        content = _optional(directory / POLICY, within)
        kept = running and directory == directories[0]
        if content is not None:
            own = _local(directory, content, lowest, within)
            return _with_floors(own) if kept else own
        if kept:
            _require_never(directory / POLICY, lowest)
    policy = policyfile.parse(SHIPPED.encode(), PurePath("policy.toml"))
    return Believed("shipped with snaproot", policy, floors=lowest)


def lint(found: Believed, now: datetime) -> list[Remark]:
    """Say what is unwise of it, errors first."""
    has = {
        "lint.no-trusted-root": found.trusted_root is not None,
        "lint.no-revocations": found.revocations is not None,
    }
    return [one for one in policylint.lint(found.policy, now) if not has.get(one.code)]


def readable(store: Store) -> Believed | None:
    """Read what was delivered before; none where there is nothing that could be compared with."""
    try:
        found = store.configuration()
        return _delivered(found, Floors()) if found else None
    except (Distrusted, Unverifiable, ConfigError):
        return None


def validator(before: Believed | None, now: datetime) -> Check:
    """Make what looks at a delivery before it takes the place of what is believed.

    What could judge nothing is not taken, and a list of revocations only grows; `before` is none
    where there is nothing readable.
    """

    def check(files: Mapping[str, bytes]) -> Mapping[str, int]:
        found = _taken("the delivery", files, Floors(), delivered=True)
        for refusal in evaluation.standing(found.policy, now, Floors()):
            raise Distrusted(refusal.reason, f"{refusal.message}; it was not taken")
        if found.trusted_root is not None:
            reading.instance(found.trusted_root, TRUSTED_ROOT)
        if before and before.revocations and found.revocations:
            revocationlist.require_successor(before.revocations, found.revocations)
        listed = found.revocations.version if found.revocations else 0
        return {floors.POLICY: found.policy.version, floors.REVOCATIONS: listed}

    return check


def _delivered(found: Configuration, lowest: Floors) -> Believed:
    files = {name: one.content for name, one in found.files.items()}
    believed = _taken("delivered", files, lowest, delivered=True)
    return replace(believed, updated=found.updated, expires=found.expires)


def _local(directory: Path, content: bytes, lowest: Floors, within: Path) -> Believed:
    """Read what a policy names, beside it."""
    path = directory / POLICY
    policy = policyfile.parse(content, path)
    named = {
        TRUSTED_ROOT: policy.trusted_root and policy.trusted_root.file,
        REVOCATIONS: policy.revocations and policy.revocations.file,
    }
    beside = {
        name: modes.read(directory / file, within=within) for name, file in named.items() if file
    }
    return _taken(str(path), {POLICY: content, **beside}, lowest)


def _with_floors(found: Believed) -> Believed:
    """Hold a policy, and the list beside it, to the floors of its path."""
    own = {name: found.floors.of(named) for name, named in _floor_names(found.origin).items()}
    return replace(found, floors=found.floors.raised(own), kept=True)


def _require_never(path: Path, lowest: Floors) -> None:
    """Refuse to fall back to others' policy where a root was gone back to that has none yet."""
    floor = lowest.of(_floor_names(str(path))[floors.POLICY])
    if floor:
        raise Unverifiable(
            "policy.missing",
            f"{path} is not there, and version {floor} of it was in force; nothing is believed",
            hint="put it back, or one that says what is to hold now, see snaproot-policy(5)",
        )


def _floor_names(origin: str) -> Mapping[str, str]:
    """Name the floors of one place: another's policy has versions of its own."""
    return {name: f"{name} {origin}" for name in (floors.POLICY, floors.REVOCATIONS)}


def _taken(
    origin: str, files: Mapping[str, bytes], lowest: Floors, *, delivered: bool = False
) -> Believed:
    """Read files that belong together. Raises ConfigError, Distrusted, Unverifiable."""
    policy = policyfile.parse(files[POLICY], PurePath(origin), delivered=delivered)
    trusted_root, listed = files.get(TRUSTED_ROOT), files.get(REVOCATIONS)
    _check_pinned(policy, trusted_root, origin)
    if policy.revocations and listed is None:
        raise Unverifiable(
            "revocations.missing",
            f"the policy ({origin}) wants a list of revocations, and there is none; "
            "nothing is believed",
        )
    revocations = (
        None if listed is None else revocationlist.parse(listed, f"the revocation list ({origin})")
    )
    return Believed(origin, policy, trusted_root, revocations, lowest)


def _check_pinned(policy: Policy, trusted_root: bytes | None, origin: str) -> None:
    pinned = policy.trusted_root
    if pinned and (trusted_root is None or sha256(trusted_root).hexdigest() != pinned.sha256):
        raise Distrusted(
            "policy.trusted-root",
            f"the trusted root is not the one that the policy ({origin}) names; "
            "nothing is believed",
            hint="policy and trusted root are renewed together",
        )


def _optional(path: Path, within: Path) -> bytes | None:
    try:
        return modes.read(path, within=within)
    except Unverifiable as error:
        if error.reason == "file.missing":
            return None
        raise

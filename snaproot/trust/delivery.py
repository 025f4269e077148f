"""The verifier's own configuration, delivered as targets of a TUF repository.

The TUF specification (theupdateframework.io) says how keys are rotated, and what is refused: too
few signatures, expiry, older versions, files that do not belong together. python-tuf does it; here
is what it leaves to its user: where the first root comes from, that what was seen once is never
undercut, even if python-tuf's state is lost, and that the files change together or not at all.

What is there after a power cut: a root is pinned, and floors are raised, as soon as TUF has
verified them; the files come last, in one write; then their floors, which the next update raises
where that was cut. The caller holds snaproot's lock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from snaproot.errors import ConfigError
from snaproot.trust import clock
from snaproot.trust.facts import Distrusted, Unverifiable
from snaproot.trust.fetching import Directory, Mirror
from snaproot.trust.floors import POLICY, REVOCATIONS, TIME, Floors
from snaproot.trust.store import (
    FILES,
    Check,
    Configuration,
    Delivered,
    Pin,
    Store,
    delivered,
)
from snaproot.trust.store import POLICY as POLICY_FILE
from snaproot.trust.tufclient import OLD_COPY, STILL, Client, SignedRoot, signed_root


@dataclass(frozen=True, slots=True)
class Delivery:
    """What an update did; `before` is None where there was nothing, or nothing readable."""

    before: Configuration | None
    after: Configuration
    notes: tuple[str, ...]

    @property
    def changed(self) -> tuple[str, ...]:
        """Name the files that are not what they were, those that came or went included."""
        before = self.before.files if self.before else {}
        return tuple(name for name in FILES if before.get(name) != self.after.files.get(name))


def update(
    source: Directory | Mirror,
    store: Store,
    check: Check,
    *,
    root: bytes | None = None,
    now: datetime | None = None,
) -> Delivery:
    """Bring the configuration to what the repository has now; twice is once.

    `root` is a root's file: the first one is pinned, once something was verified under it; a later
    one has to be reached by rotation. `now` is for who knows better than the clock.
    Raises what `Client`, `clock.check`, `check` and `modes.read` do, Unverifiable
    (`delivery.unpinned`, `store.damaged`), and SnaprootError where the disk does not take it. What
    was in place is then still in place.
    """
    now = now or datetime.now(tz=UTC)
    store.prepare()
    before, notes = _before(store)
    clock.check(now, store.floors().time - clock.LEEWAY)
    notes += _lost(store)
    client = _verified(source, store, root, now)
    files = _files(client)
    told = _told(client, check, files, store.floors())
    versions = MappingProxyType({**client.versions(), **told})
    after = Configuration(files, versions, now, client.expires())
    store.save_configuration(after)
    store.raise_floors({**told, TIME: int(now.timestamp())})
    store.clear()
    return Delivery(before, after, notes)


def pin(store: Store, root: bytes) -> None:
    """Pin the first root with no repository at hand; the same again is fine, durable.

    Raises Distrusted (`delivery.root`) for a file that is no root, or another than the pinned one.
    """
    given = signed_root(root)
    store.prepare()
    held = _pinned(store)
    if held is None:
        store.save_pin(_first(given))
    else:
        _check_reached(given, held, store)


def _before(store: Store) -> tuple[Configuration | None, tuple[str, ...]]:
    """Read what is in place, and raise the floors that a cut kept from being raised."""
    try:
        found = store.configuration()
    except (Distrusted, Unverifiable) as error:
        if not error.reason.startswith("store."):
            raise
        return None, () if error.reason == "store.empty" else (str(error),)
    if found is not None:
        known = {n: v for n, v in found.versions.items() if n in (POLICY, REVOCATIONS)}
        store.raise_floors({**known, TIME: int(found.updated.timestamp())})
    return found, ()


def _lost(store: Store) -> tuple[str, ...]:
    """Tell of TUF state that should be there: a fresh client sees no rollback, the floors do."""
    seen = any(name.startswith("timestamp ") for name in store.floors().versions)
    if not seen or (store.metadata / "timestamp.json").is_file():
        return ()
    return (f"{store.metadata} had been emptied; the version floors were held against the source",)


def _verified(
    source: Directory | Mirror, store: Store, root: bytes | None, now: datetime
) -> Client:
    """Let TUF verify all metadata from the pinned root on; pin and floors are then durable."""
    given = None if root is None else signed_root(root)
    held = _pinned(store)
    start = held or _first(given)
    client = Client(source, store, start.root, now)
    try:
        client.refresh()
    except (Distrusted, Unverifiable):
        if held is not None:  # a key that was replaced stays so, whatever else is wrong
            _keep(store, client, held)
        raise
    _check_floors(client, store.floors(), client.floors())
    reached = _keep(store, client, start)
    if given:
        _check_reached(given, reached, store)
    return client


def _pinned(store: Store) -> Pin | None:
    """Read the pin, and see that it is what was accepted."""
    held = store.pin()
    if held is None:
        return None
    try:
        found = signed_root(held.root)
        _check_reached(found, held, store)
    except Distrusted as error:
        raise Unverifiable(
            "store.damaged",
            f"the root that is pinned in {store.directory} is damaged; {STILL}",
            hint=f"remove {store.directory}/pin.json, then: snaproot trust update --root FILE",
        ) from error
    return held


def _first(given: SignedRoot | None) -> Pin:
    if given is None:
        raise Unverifiable(
            "delivery.unpinned",
            "no root is pinned, so no delivery can be verified",
            hint="snaproot trust update --root FILE, with a file from somebody whom you trust",
        )
    return Pin(given.content, MappingProxyType({given.version: given.digest}))


def _check_reached(given: SignedRoot, pin: Pin, store: Store) -> None:
    if pin.accepted.get(given.version) != given.digest:
        raise Distrusted(
            "delivery.root",
            f"another root is pinned, and version {given.version} that was given is not reached "
            f"from it by rotation; {STILL}",
            hint="a new root has to be in the repository, and signed by the old one's keys, too. "
            f"To begin with another on purpose, {store.afresh}",
        )


def _keep(store: Store, client: Client, pin: Pin) -> Pin:
    """Pin the newest root that TUF verified, and raise the floors to what else it did."""
    accepted, content = dict(pin.accepted), pin.root
    for root in client.roots(after=max(accepted)):
        accepted[root.version], content = root.digest, root.content
    reached = Pin(content, MappingProxyType(accepted))
    if store.pin() != reached:
        store.save_pin(reached)
    store.raise_floors(client.floors())
    return reached


def _check_floors(client: Client, lowest: Floors, seen: Mapping[str, int]) -> None:
    for name in lowest.undercut(seen):
        raise Distrusted(
            "delivery.rollback",
            f"{client.name}: {name.split()[0]} has version {seen[name]}, but {lowest.of(name)} was "
            f"seen before; {STILL}",
            hint=OLD_COPY,
        )


def _files(client: Client) -> Mapping[str, Delivered]:
    found: dict[str, Delivered] = {}
    for name in FILES:
        content = client.target(name)
        if content is None and name == POLICY_FILE:
            raise client.unfit(name, "is not in the repository")
        if content is not None:
            try:
                found[name] = delivered(content)
            except ValueError as error:
                raise client.unfit(name, "is not UTF-8") from error
    return MappingProxyType(found)


def _told(
    client: Client, check: Check, files: Mapping[str, Delivered], lowest: Floors
) -> dict[str, int]:
    """Have the files checked, and see that neither policy nor revocations went back."""
    try:
        versions = check({name: one.content for name, one in files.items()})
    except ConfigError as error:
        what = f"{client.name}: {error}; {STILL}"
        raise Distrusted("delivery.target", what, hint=error.hint) from error
    told = {name: versions.get(name, 0) for name in (POLICY, REVOCATIONS)}
    _check_floors(client, lowest, told)
    return told

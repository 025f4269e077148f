"""Whom to believe, as policy.toml says: whatever it does not name is refused. Pure.

`policyfile` reads it and checks all that can be checked without an artifact; what is unwise all the
same, `policylint` says. An authority is one party: who signs, and what they have to say. A group
needs some of several; `require` names the one authority or group that has to be satisfied.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snaproot.tlog.quorum import Quorum
    from snaproot.trust.patterns import Pattern

SCHEMA = 1

SHIPPED = """\
# This holds where the admin has no policy: archives that the package manager itself verifies are
# accepted. No authority is named, so bundles are refused.
schema = 1
version = 1

[packages]
archives = "verified"
run = "allow"
shell = "allow"
"""


class Archives(StrEnum):
    """Which archives a package manager may use.

    VERIFIED: those that it verifies itself, by the keys in the root. PINNED: of these only those
    that the policy lists.
    """

    VERIFIED = "verified"
    PINNED = "pinned"
    REFUSE = "refuse"


class Leave(StrEnum):
    """Whether something is permitted that ought not to be needed."""

    ALLOW = "allow"
    REFUSE = "refuse"


class Running(StrEnum):
    """What `run` and `shell` may do. LIMIT: the command has no network."""

    ALLOW = "allow"
    LIMIT = "limit"
    REFUSE = "refuse"


class Expired(StrEnum):
    """What an expired revocation list means: nothing is accepted, or it still serves for days."""

    REFUSE = "refuse"
    GRACE = "grace"


@dataclass(frozen=True, slots=True)
class Authority:
    """One party: the identity that its issuer vouches for, and what it has to have signed.

    Without `predicate_type` it signs the artifact itself, and no statement of any kind counts.
    `builder_id`, `build_type` (empty: any) and `external_parameters` are of SLSA provenance.
    """

    name: str
    issuer: str
    identity: "Pattern"
    claims: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    predicate_type: str = ""
    builder_id: str = ""
    build_type: str = ""
    external_parameters: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Group:
    """Distinct authorities and groups, and how many of them have to be satisfied."""

    name: str
    need: int
    of: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PinnedRoot:
    """[trusted_root]: the file beside the policy, and its SHA-256 in hexadecimal."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class RevocationRules:
    """[revocations]: which list, from which version on, and for how long after its end."""

    file: str
    minimum_version: int = 1
    expired: Expired = Expired.REFUSE
    grace: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive that is pinned: as its signed Release file and the sources name it.

    `suite` is its Suite or Codename, `signed_by` the whole fingerprints of keys, any of which will
    do.
    """

    name: str
    origin: str
    suite: str
    signed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Packages:
    """[packages]: what a package manager, `run` and `shell` may do. Nothing, if nothing is said.

    The three leaves are for archives without a valid signature, for sources that say `trusted=yes`,
    and for packages older than those installed.
    """

    archives: Archives = Archives.REFUSE
    pinned: Mapping[str, Archive] = field(default_factory=lambda: MappingProxyType({}))
    unauthenticated: Leave = Leave.REFUSE
    trusted_yes: Leave = Leave.REFUSE
    downgrade: Leave = Leave.REFUSE
    run: Running = Running.REFUSE
    shell: Running = Running.REFUSE


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All of it, checked. `digest` is the SHA-256 of the file; an empty `require` accepts nothing.

    `minimum_version` maps products to the oldest version that is accepted. Of `quorum`, enough
    witnesses must have cosigned the log's checkpoint.
    """

    version: int
    digest: str = ""
    expires: datetime | None = None
    require: str = ""
    maximum_age: timedelta | None = None
    trusted_root: PinnedRoot | None = None
    revocations: RevocationRules | None = None
    minimum_version: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    authorities: Mapping[str, Authority] = field(default_factory=lambda: MappingProxyType({}))
    groups: Mapping[str, Group] = field(default_factory=lambda: MappingProxyType({}))
    quorum: "Quorum | None" = None
    packages: Packages = field(default_factory=Packages)

    @property
    def asked(self) -> tuple[str, ...]:
        """Name the authorities that `require` can come down to, each once."""
        return tuple(name for name in self.needed if name in self.authorities)

    @property
    def needed(self) -> tuple[str, ...]:
        """Name all that `require` comes down to, groups and authorities, from the top down."""
        names = dict.fromkeys([self.require] if self.require else [])
        for _ in self.groups:  # no way down is longer
            below = [inner for name in names for inner in self._members(name)]
            names |= dict.fromkeys(below)
        return tuple(names)

    def _members(self, name: str) -> tuple[str, ...]:
        return self.groups[name].of if name in self.groups else ()

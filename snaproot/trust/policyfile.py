"""policy.toml: from its text to a policy, or to the line that cannot be meant. Pure."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import PurePath
from types import MappingProxyType

from snaproot.hashing import sha256
from snaproot.tlog import quorum as quorums
from snaproot.tlog.quorum import Quorum, Witness
from snaproot.trust import policyschema as forms
from snaproot.trust.certificate import CLAIMS
from snaproot.trust.documents import bad_digest
from snaproot.trust.facts import Distrusted
from snaproot.trust.patterns import Pattern, bad_glob, bad_identity
from snaproot.trust.policy import (
    SCHEMA,
    Authority,
    Expired,
    Group,
    PinnedRoot,
    Policy,
    RevocationRules,
)
from snaproot.trust.policypackages import packages
from snaproot.trust.policyschema import Table
from snaproot.trust.statement import PROVENANCE, RELEASE, bad_product
from snaproot.trust.versions import bad_version

_LAST = (1 << 53) - 1
_DAYS = 36500
_PREDICATES = (PROVENANCE, RELEASE)
_ABOUT_BUILDS = ("builder_id", "build_type", "external_parameters")
_QUORUM = "quorum"


def parse(content: bytes, path: PurePath, *, delivered: bool = False) -> Policy:
    """Read a policy; one that is delivered has to expire, so that nobody can hold back its heir.

    Raises ConfigError for the first thing that cannot be meant.
    """
    top = forms.read(content, path)
    _require_schema(top)
    top.only(
        *("schema", "version", "expires", "require", "maximum_age_days", "trusted_root"),
        *("revocations", "minimum_version", "authority", "group", "witness", "quorum", "packages"),
    )
    version = top.number("version", 1, _LAST)
    expires = top.moment("expires")
    if delivered and expires is None:
        raise top.wrong("expires", "expires is missing; a policy that is delivered has it")
    authorities = {name: _authority(name, one) for name, one in top.tables("authority").items()}
    return Policy(
        version=version,
        digest=sha256(content).hexdigest(),
        expires=expires,
        maximum_age=_maximum_age(top),
        trusted_root=_trusted_root(top),
        revocations=_revocations(top),
        minimum_version=_minimum_version(top.table("minimum_version")),
        authorities=MappingProxyType(authorities),
        groups=MappingProxyType(_groups(top, authorities)),
        require=_require(top),
        quorum=_quorum(top),
        packages=packages(top.table("packages")),
    )


def _require_schema(top: Table) -> None:
    """Look at it before anything else: a newer one has keys that are not known here."""
    if top.number("schema", 1, _LAST) != SCHEMA:
        raise top.wrong(
            "schema",
            f"schema is {top.values['schema']}, and this snaproot reads {SCHEMA}",
            "a newer snaproot is needed",
        )


def _maximum_age(top: Table) -> timedelta | None:
    name = "maximum_age_days"
    return timedelta(days=top.number(name, 1, _DAYS)) if name in top.values else None


def _trusted_root(top: Table) -> PinnedRoot | None:
    if "trusted_root" not in top.values:
        return None
    table = top.table("trusted_root")
    table.only("file", "sha256")
    return PinnedRoot(table.text("file", forms.bad_file), table.text("sha256", bad_digest))


def _revocations(top: Table) -> RevocationRules | None:
    if "revocations" not in top.values:
        return None
    table = top.table("revocations")
    table.only("file", "minimum_version", "expired", "grace_days")
    expired = table.choice("expired", Expired, Expired.REFUSE)
    if expired is Expired.REFUSE and "grace_days" in table.values:
        what = f'{table.named("grace_days")} means something with expired = "grace" only'
        raise table.wrong("grace_days", what)
    days = table.number("grace_days", 1, 365) if expired is Expired.GRACE else 0
    return RevocationRules(
        file=table.text("file", forms.bad_file),
        minimum_version=table.number("minimum_version", 1, _LAST, 1),
        expired=expired,
        grace=timedelta(days=days),
    )


def _minimum_version(table: Table) -> Mapping[str, str]:
    for name in table.values:
        wanted = bad_product(name)
        if wanted:
            raise table.wrong(name, f"{table.named(name)} is no product: it {wanted}")
    return MappingProxyType({name: table.text(name, bad_version) for name in table.values})


def _authority(name: str, table: Table) -> Authority:
    table.only(*("issuer", "identity", "identity_glob", "claims", "predicate_type"), *_ABOUT_BUILDS)
    issuer, identity = table.text("issuer", forms.bad_issuer), _identity(table)
    predicate = _predicate(table)
    builds = predicate == PROVENANCE
    return Authority(
        name=name,
        issuer=issuer,
        identity=identity,
        claims=_claims(table.table("claims")),
        predicate_type=predicate,
        builder_id=table.text("builder_id", forms.bad_uri) if builds else "",
        build_type=table.text("build_type", forms.bad_uri, "") if builds else "",
        external_parameters=_parameters(table),
    )


def _identity(table: Table) -> Pattern:
    exact, glob = "identity" in table.values, "identity_glob" in table.values
    if exact and glob:
        raise table.wrong("identity_glob", f"{_at(table)} has both identity and identity_glob")
    if glob:
        return Pattern(table.text("identity_glob", bad_glob), glob=True)
    return Pattern(table.text("identity", bad_identity))


def _claims(table: Table) -> Mapping[str, str]:
    if "issuer" in table.values:
        what = f"{table.named('issuer')} is no claim: the authority itself has the issuer"
        raise table.wrong("issuer", what)
    table.only(*CLAIMS)
    return MappingProxyType({name: table.text(name, forms.bad_claim) for name in table.values})


def _predicate(table: Table) -> str:
    predicate = table.text("predicate_type", _bad_predicate, "")
    misplaced = next((name for name in _ABOUT_BUILDS if name in table.values), "")
    if misplaced and predicate != PROVENANCE:
        what = f"{table.named(misplaced)} means something with provenance only"
        raise table.wrong(misplaced, what, f'predicate_type = "{PROVENANCE}"')
    return predicate


def _bad_predicate(text: str) -> str:
    """Accept those alone that are read: of another one nobody would see that it says no."""
    return "" if text in _PREDICATES else f"is {' or '.join(_PREDICATES)}"


def _parameters(table: Table) -> Mapping[str, object]:
    parameters = table.table("external_parameters")
    for name, value in parameters.values.items():
        if not forms.plain(value):
            what = f"{parameters.named(name)} has a value that JSON has not"
            raise parameters.wrong(name, what, "write it as the provenance has it")
    return MappingProxyType({**parameters.values})


def _groups(top: Table, authorities: Mapping[str, Authority]) -> dict[str, Group]:
    tables = top.tables("group")
    groups = {name: _group(name, table) for name, table in tables.items()}
    for name, group in groups.items():
        if name in authorities:
            raise tables[name].wrong(
                "of", f"{name} is an authority already; a group has another name"
            )
        for member in group.of:
            if member not in groups and member not in authorities:
                what = f"{tables[name].named('of')} has {member!r}, which is neither"
                raise tables[name].wrong("of", f"{what} authority nor group")
    for name, table in tables.items():
        if _is_within(name, name, groups):
            raise table.wrong("of", f"the group {name} is within itself")
    return groups


def _group(name: str, table: Table) -> Group:
    table.only("need", "of")
    members = tuple(dict.fromkeys(table.texts("of", forms.bad_name)))
    if not members:
        raise table.wrong("of", f"{table.named('of')} is empty; nobody could satisfy the group")
    if len(members) > forms.MOST:
        raise table.wrong("of", f"{table.named('of')} has more than {forms.MOST} members")
    return Group(name, table.number("need", 1, len(members)), members)


def _is_within(name: str, top: str, groups: Mapping[str, Group]) -> bool:
    """Tell whether a group is somewhere below one; each is looked at once."""
    below: dict[str, None] = {}
    ahead = [*groups[top].of]
    while ahead:
        member = ahead.pop()
        if member in groups and member not in below:
            below[member] = None
            ahead += groups[member].of
    return name in below


def _require(top: Table) -> str:
    name = top.text("require", forms.bad_name, "")
    known = [*top.table("authority").values, *top.table("group").values]
    if name and name not in known:
        what = f"require is {name!r}, which is neither authority nor group"
        raise top.wrong("require", what, f"there are {', '.join(known)}" if known else "")
    return name


def _quorum(top: Table) -> Quorum | None:
    witnesses = top.tables("witness")
    for table in witnesses.values():
        table.only("key")
    keys = {name: table.text("key", forms.bad_witness) for name, table in witnesses.items()}
    if _QUORUM not in top.values:
        if keys:
            what = "there are witnesses and no quorum, so nobody would be asked"
            raise top.wrong("witness", what, "[quorum] has need and of")
        return None
    return _of_witnesses(top.table(_QUORUM), keys)


def _of_witnesses(table: Table, keys: Mapping[str, str]) -> Quorum:
    group = _group(_QUORUM, table)
    unknown = [name for name in group.of if name not in keys]
    if unknown:
        raise table.wrong("of", f"{table.named('of')} has {unknown[0]!r}, which is no witness")
    rule = f"[{_QUORUM}]"  # no name of a witness
    try:
        return Quorum(
            witnesses=tuple(Witness(name, keys[name]) for name in group.of),
            groups=(quorums.Group(rule, group.need, group.of),),
            rule=rule,
        )
    except Distrusted as error:
        raise table.wrong("of", str(error)) from error


def _at(table: Table) -> str:
    return ".".join(table.key)

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

import pytest

from snaproot import permits
from snaproot.environment import Installed
from snaproot.errors import ExitCode
from snaproot.trust.believed import Believed
from snaproot.trust.facts import Distrusted, Unverifiable
from snaproot.trust.floors import POLICY, Floors
from snaproot.trust.policy import Archives, Packages, Policy, Running
from snaproot.trust.revocationlist import Entry, Kind, Revocations

NOW = datetime(2027, 1, 2, tzinfo=UTC)
LATER = datetime(2027, 6, 1, tzinfo=UTC)
RULES = Packages(archives=Archives.VERIFIED, run=Running.ALLOW, shell=Running.LIMIT)
BELIEVED = Believed("here", Policy(version=3, digest="aa" * 32, expires=LATER, packages=RULES))
DIGEST = "5a" * 32


def revoking(kind: Kind, value: str) -> Revocations:
    entry = Entry(kind, value, why="a reason")
    return Revocations(version=7, issued=NOW, expires=LATER, entries=(entry,))


def test_the_rules_of_a_policy_that_stands() -> None:
    assert permits.rules(BELIEVED, NOW) == RULES


@pytest.mark.parametrize(
    ("believed", "now", "reason"),
    [
        (BELIEVED, LATER, "policy.expired"),
        (replace(BELIEVED, floors=Floors(MappingProxyType({POLICY: 4}))), NOW, "policy.rollback"),
        (
            replace(BELIEVED, revocations=revoking(Kind.POLICY, "aa" * 32)),
            NOW,
            "revoked.policy",
        ),
        (
            replace(BELIEVED, revocations=replace(revoking(Kind.DIGEST, "aa" * 32), expires=NOW)),
            NOW,
            "revocations.expired",
        ),
    ],
    ids=["expired", "older", "revoked", "list"],
)
def test_a_policy_that_does_not_stand_permits_nothing(
    believed: Believed, now: datetime, reason: str
) -> None:
    with pytest.raises(Distrusted, match=r"nothing (is|was) accepted") as seen:
        permits.rules(believed, now)
    assert seen.value.reason == reason
    assert seen.value.exit_code is ExitCode.REFUSED


def test_an_expiry_needs_a_clock_that_can_be_right() -> None:
    dawn = datetime(1970, 1, 2, tzinfo=UTC)
    with pytest.raises(Unverifiable, match="the clock says 1970"):
        permits.rules(BELIEVED, dawn)
    lasting = replace(BELIEVED, policy=replace(BELIEVED.policy, expires=None))
    assert permits.rules(lasting, dawn) == RULES


def ruled(archives: Archives) -> Believed:
    return replace(BELIEVED, policy=replace(BELIEVED.policy, packages=Packages(archives=archives)))


def test_no_archive_may_be_used_where_the_policy_refuses_all() -> None:
    for archives in (Archives.VERIFIED, Archives.PINNED):
        assert permits.archives(ruled(archives), NOW).archives is archives
    with pytest.raises(Distrusted, match="no package archive") as seen:
        permits.archives(ruled(Archives.REFUSE), NOW)
    assert seen.value.hint.startswith('packages.archives = "verified"')


@pytest.mark.parametrize(
    ("running", "network", "refused"),
    [
        (Running.ALLOW, False, ""),
        (Running.ALLOW, True, ""),
        (Running.LIMIT, False, ""),
        (Running.LIMIT, True, "the policy gives shell no network"),
        (Running.REFUSE, False, "the policy does not let shell change anything"),
        (Running.REFUSE, True, "the policy does not let shell change anything"),
    ],
)
def test_run_and_shell_are_allowed_limited_or_refused(
    running: Running, network: bool, refused: str
) -> None:
    if not refused:
        permits.check_command("shell", running, network=network)
        return
    with pytest.raises(Distrusted, match=f"{refused}; nothing was changed") as seen:
        permits.check_command("shell", running, network=network)
    assert seen.value.reason == "packages.shell"
    assert 'packages.shell = "allow"' in seen.value.hint


def test_a_delivery_that_has_expired_lets_in_no_archive_and_a_repair() -> None:
    """A machine without a network cannot have another delivered, and is mended by hand."""
    over = replace(BELIEVED, updated=NOW, expires=NOW)
    with pytest.raises(Distrusted, match="nobody has vouched") as seen:
        permits.archives(over, NOW)
    assert "trust update" in seen.value.hint
    assert permits.rules(over, NOW).run is Running.ALLOW
    assert permits.archives(replace(over, expires=LATER), NOW) == RULES


@pytest.mark.parametrize(
    ("digests", "refused"),
    [([], False), (["66" * 32, ""], False), (["66" * 32, DIGEST], True)],
)
def test_a_package_that_is_revoked_does_not_come(digests: Iterable[str], refused: bool) -> None:
    packages = [Installed("openssl", "3.5", digest) for digest in digests]
    permits.check_packages(BELIEVED, packages)
    believed = replace(BELIEVED, revocations=revoking(Kind.DIGEST, DIGEST))
    if refused:
        with pytest.raises(Distrusted, match=r"^openssl 3.5: .*revoked: a reason"):
            permits.check_packages(believed, packages)
    else:
        permits.check_packages(believed, packages)

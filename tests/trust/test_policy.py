"""policy.toml as people write it: what it means, and what cannot be meant or had better not."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snaproot.errors import ConfigError, ExitCode
from snaproot.trust.patterns import Pattern
from snaproot.trust.policy import (
    SHIPPED,
    Archive,
    Archives,
    Expired,
    Group,
    Leave,
    Packages,
    PinnedRoot,
    Policy,
    RevocationRules,
    Running,
)
from snaproot.trust.policyfile import parse
from snaproot.trust.policylint import Weight, lint
from snaproot.trust.statement import PROVENANCE, RELEASE
from tests.fuzzing import cases

HERE = Path("/etc/snaproot/trust/policy.toml")
NOW = datetime(2026, 11, 30, tzinfo=UTC)
DIGEST = "0123456789abcdef" * 4
FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"


def vkey(name: str, kind: int = 4, filler: bytes = b"k") -> str:
    key = bytes([kind]) + filler * {4: 32, 6: 1312, 1: 32}[kind]
    id = hashlib.sha256(name.encode() + b"\n" + key).hexdigest()[:8]
    return f"{name}+{id}+{base64.b64encode(key).decode()}"


ALL = f"""\
schema = 1
version = 7
expires = 2027-02-20T01:00:00+01:00
require = "all"
maximum_age_days = 30

[trusted_root]
file = "trusted_root.json"
sha256 = "{DIGEST}"

[revocations]
file = "revocations.json"
minimum_version = 3
expired = "grace"
grace_days = 5

[minimum_version]
image = "1.2.0"

[authority.builder]
issuer = "https://token.ci.example"
identity_glob = "https://ci.example/org/image/.ci/build.yml@refs/tags/v*"
claims = {{ source_repository = "https://ci.example/org/image", runner_environment = "hosted" }}
predicate_type = "{PROVENANCE}"
builder_id = "https://ci.example/builder"
build_type = "https://ci.example/bt/v1"
external_parameters = {{ ref = "refs/tags/v1", deep = {{ a = [1, true, "x"] }} }}

[authority.release]
issuer = "https://accounts.example"
identity = "rel@example.org"
predicate_type = "{RELEASE}"

[authority.rb0]
issuer = "https://accounts.example"
identity = "rb0@example.org"

[authority.rb1]
issuer = "https://accounts.example"
identity = "rb1@example.org"

[group.rebuilders]
need = 1
of = ["rb0", "rb1", "rb0"]

[group.all]
need = 3
of = ["builder", "release", "rebuilders"]

[witness.w1]
key = "{vkey("w1.example/w")}"
[witness.w2]
key = "{vkey("w2.example/w", 6)}"
[quorum]
need = 2
of = ["w1", "w2"]

[packages]
archives = "pinned"
unauthenticated = "allow"
trusted_yes = "refuse"
downgrade = "allow"
run = "limit"
shell = "refuse"

[packages.archive.debian]
origin = "Debian"
suite = "trixie"
signed_by = ["{FINGERPRINT}"]
"""
HEAD = "schema = 1\nversion = 1\n"
ONE = 'issuer = "https://i.example"\nidentity = "a@b.example"\n'
PROVENANCE_LINE = f'predicate_type = "{PROVENANCE}"\n'


def policy(text: str = "", *, delivered: bool = False) -> Policy:
    return parse(f"{HEAD}{text}".encode(), HERE, delivered=delivered)


def authority(more: str = "", name: str = "a") -> str:
    return f"[authority.{name}]\n{ONE}{more}"


def refusal(content: bytes, *, delivered: bool = False) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse(content, HERE, delivered=delivered)
    return caught.value


def test_every_setting_is_read() -> None:
    found = parse(ALL.encode(), HERE, delivered=True)
    assert (found.version, found.require) == (7, "all")
    assert found.digest == hashlib.sha256(ALL.encode()).hexdigest()
    assert found.expires == datetime(2027, 2, 20, tzinfo=UTC)
    assert found.maximum_age == timedelta(days=30)
    assert found.trusted_root == PinnedRoot("trusted_root.json", DIGEST)
    assert found.revocations == RevocationRules(
        "revocations.json", 3, Expired.GRACE, timedelta(days=5)
    )
    assert found.minimum_version == {"image": "1.2.0"}
    assert found.packages == Packages(
        archives=Archives.PINNED,
        pinned={"debian": Archive("debian", "Debian", "trixie", (FINGERPRINT,))},
        unauthenticated=Leave.ALLOW,
        trusted_yes=Leave.REFUSE,
        downgrade=Leave.ALLOW,
        run=Running.LIMIT,
        shell=Running.REFUSE,
    )


def test_authorities_and_groups_are_read() -> None:
    found = parse(ALL.encode(), HERE)
    builder, release = found.authorities["builder"], found.authorities["release"]
    assert builder.issuer == "https://token.ci.example"
    assert builder.identity == Pattern(
        "https://ci.example/org/image/.ci/build.yml@refs/tags/v*", glob=True
    )
    assert builder.claims["runner_environment"] == "hosted"
    assert (builder.builder_id, builder.build_type) == (
        "https://ci.example/builder",
        "https://ci.example/bt/v1",
    )
    assert builder.external_parameters == {"ref": "refs/tags/v1", "deep": {"a": [1, True, "x"]}}
    assert (release.identity, release.predicate_type) == (Pattern("rel@example.org"), RELEASE)
    assert found.groups["rebuilders"] == Group("rebuilders", 1, ("rb0", "rb1"))
    assert found.asked == ("builder", "release", "rb0", "rb1")


def test_the_quorum_has_its_witnesses() -> None:
    quorum = parse(ALL.encode(), HERE).quorum
    assert quorum is not None
    assert quorum.met({"w1", "w2"})
    assert not quorum.met({"w1"})
    assert [witness.name for witness in quorum.witnesses] == ["w1", "w2"]


def test_nothing_said_is_nothing_permitted() -> None:
    found = policy()
    assert found.packages == Packages()
    assert found.packages.archives is Archives.REFUSE
    assert found.packages.run is found.packages.shell is Running.REFUSE
    assert (found.require, found.asked, found.quorum) == ("", (), None)


def test_the_shipped_policy_has_archives_and_no_bundles() -> None:
    found = parse(SHIPPED.encode(), HERE)
    assert found.packages.archives is Archives.VERIFIED
    assert found.packages.run is found.packages.shell is Running.ALLOW
    leaves = {found.packages.unauthenticated, found.packages.trusted_yes, found.packages.downgrade}
    assert leaves == {Leave.REFUSE}
    assert found.require == ""
    assert lint(found, NOW) == []


def test_a_delivered_policy_has_to_expire() -> None:
    error = refusal(HEAD.encode(), delivered=True)
    assert "expires is missing" in str(error)
    assert policy("expires = 2027-01-01T00:00:00Z\n", delivered=True).expires


@pytest.mark.parametrize(
    ("text", "line", "says", "hint"),
    [
        ("expirs = 1\n", 3, "unknown key expirs", "did you mean expires?"),
        ("[authorty.x]\n", 3, "unknown key authorty", "authority?"),
        ("expires = 2027-01-01T00:00:00\n", 3, "expires is", ""),
        ("expires = 2027-01-01\n", 3, "expires is", ""),
        ("expires = 1999-01-01T00:00:00Z\n", 3, "from 2000", ""),
        ("expires = '2027-01-01T00:00:00Z'\n", 3, "expires is", ""),
        ("maximum_age_days = 0\n", 3, "is a number from 1", ""),
        ("require = 'x'\n", 3, "neither authority nor group", ""),
        (f"require = 'b'\n{authority()}", 3, "neither authority nor group", "there are a"),
        ("require = ['x']\n", 3, "require is a list, but is a text", ""),
        ("trusted_root = 'x'\n", 3, 'trusted_root is a table, not "x"', ""),
        ("\n[trusted_root]\nfile = 'x'\n", 4, "trusted_root.sha256 is missing", ""),
        (f"[trusted_root]\nsha256 = '{DIGEST}'\n", 3, "trusted_root.file is missing", ""),
        ("[trusted_root]\nfile = '../x'\n", 4, "the name of a file beside", ""),
        ("[trusted_root]\nfile = '.x'\n", 4, "the name of a file beside", ""),
        ("[trusted_root]\nfile = 'x'\nsha256 = 'A'\n", 5, "is a SHA-256", ""),
        ("[revocations]\nfile = 'x'\nexpired = 'ignore'\n", 5, 'is "refuse" or "grace"', ""),
        ("[revocations]\nfile = 'x'\ngrace_days = 3\n", 5, 'expired = "grace" only', ""),
        ("[revocations]\nfile = 'x'\nexpired = 'grace'\n", 3, "grace_days is missing", ""),
        ("[revocations]\nfile = 'x'\nminimum_version = -1\n", 5, "is a number from 1", ""),
        ("[revocations]\nminimum_version = 1\n", 3, "revocations.file is missing", ""),
        ("[minimum_version]\nimage = 3\n", 4, "minimum_version.image is 3, but is a text", ""),
        ("[minimum_version]\nimage = '1 2'\n", 4, "is a version like", ""),
        ("[minimum_version]\n'a b' = '1'\n", 4, "is no product", ""),
        ("[authority.'a b']\n", 3, "is no name", ""),
        ("[authority]\na = 3\n", 4, "authority.a is a table, not 3", ""),
        ("[authority.a]\nidentity = 'a@b'\n", 3, "authority.a.issuer is missing", ""),
        ("[authority.a]\nissuer = 'https://i'\n", 3, "authority.a.identity is missing", ""),
        ("[authority.a]\nissuer = 'http://i'\n", 4, "is an issuer like", ""),
        ("[authority.a]\nissuer = 'https://*'\n", 4, "is an issuer like", ""),
        (authority("identity_glob = '*@b'\n"), 6, "both identity and identity_glob", ""),
        (authority("identiy_glob = '*@b'\n"), 6, "unknown key", "identity_glob?"),
        (authority().replace("a@b", "*@b"), 5, "identity_glob may have one", ""),
        (authority().replace("identity", "identity_glob"), 5, "what has none is an identity", ""),
        (
            "[authority.a]\nissuer = 'https://i'\nidentity_glob = 'https://*/o/x'\n",
            *(5, "no star in its host", ""),
        ),
        (authority("claims = { repo = 'x' }\n"), 6, "unknown key authority.a.claims.repo", "known"),
        (authority("claims = { source_repositry = 'x' }\n"), 6, "unknown", "source_repository?"),
        (authority("claims = { issuer = 'x' }\n"), 6, "is no claim", ""),
        (authority("claims = { build_trigger = 3 }\n"), 6, "build_trigger is 3, but is a text", ""),
        (authority("claims = { build_trigger = '' }\n"), 6, "is 1 to 1024 characters", ""),
        (authority("predicate_type = 'https://slsa.dev/vsa/v1'\n"), 6, PROVENANCE, ""),
        (authority("builder_id = 'https://b'\n"), 6, "with provenance only", PROVENANCE),
        (authority("external_parameters = {}\n"), 6, "with provenance only", PROVENANCE),
        (authority(PROVENANCE_LINE), 3, "authority.a.builder_id is missing", ""),
        (authority(f"{PROVENANCE_LINE}builder_id = 'x'\n"), 7, "is a URI like", ""),
        (
            authority(
                f"{PROVENANCE_LINE}builder_id = 'https://b'\nexternal_parameters = {{ a = 1.5 }}\n"
            ),
            *(8, "external_parameters.a has a value that JSON has not", ""),
        ),
        ("[group.g]\nneed = 1\nof = []\n", 5, "group.g.of is empty", ""),
        ("[group.g]\nneed = 1\n", 3, "group.g.of is missing", ""),
        ("[group.g]\nneed = 1\nof = ['x']\n", 5, "neither authority nor group", ""),
        ("[group.g]\nneed = 1\nof = 'x'\n", 5, "is a list of texts", 'of = ["x"]'),
        (f"{authority()}[group.g]\nof = ['a']\n", 6, "group.g.need is missing", ""),
        (f"{authority()}[group.g]\nneed = 0\nof = ['a']\n", 7, "is a number from 1 to 1", ""),
        (f"{authority()}[group.g]\nneed = 2\nof = ['a', 'a']\n", 7, "a number from 1 to 1", ""),
        (f"{authority()}[group.g]\nneed = true\nof = ['a']\n", 7, "is true, but is a number", ""),
        (f"{authority()}[group.a]\nneed = 1\nof = ['a']\n", 8, "is an authority already", ""),
        ("[group.g]\nneed = 1\nof = ['g']\n", 5, "the group g is within itself", ""),
        (
            "[group.g]\nneed = 1\nof = ['h']\n[group.h]\nneed = 1\nof = ['g']\n",
            *(5, "the group g is within itself", ""),
        ),
        (f"[witness.w]\nkey = '{vkey('w')}'\n", 3, "no quorum", "need and of"),
        ("[witness.w]\nkey = 'w'\n", 4, "is a cosigner's key", ""),
        (f"[witness.w]\nkey = '{vkey('w', 1)}'\n", 4, "is a cosigner's key", ""),
        (f"[witness.w]\nkey = '{vkey('w')}'\nname = 'w'\n", 5, "unknown key witness.w.name", ""),
        ("[quorum]\nneed = 1\nof = ['w']\n", 5, "'w', which is no witness", ""),
        ("[quorum]\nneed = 1\nof = []\n", 5, "quorum.of is empty", ""),
        (
            f"[quorum]\nneed = 2\nof = ['v', 'w']\n[witness]\nv.key = '{vkey('v')}'\n"
            f"w.key = '{vkey('w')}'\n",
            *(5, "twice", ""),
        ),
        ("[packages]\narchives = 'all'\n", 4, 'is "verified" or "pinned" or "refuse"', ""),
        ("[packages]\narchives = 'pinned'\n", 4, "no archive is", "packages.archive.NAME"),
        ("[packages]\nrun = true\n", 4, 'is "allow" or "limit" or "refuse"', ""),
        ("[packages]\ndowngrade = true\n", 4, 'is "allow" or "refuse"', ""),
        ("[packages]\ntrusted-yes = 'allow'\n", 4, "unknown key", "trusted_yes?"),
        (
            f"[packages.archive.d]\norigin = 'D'\nsuite = 's'\nsigned_by = ['{FINGERPRINT}']\n",
            *(3, 'packages.archives is "refuse"', 'archives = "pinned"'),
        ),
        ("[packages.archive.d]\nsigned_by = ['ABCDEF01']\n", 4, "is a whole fingerprint", ""),
        ("[packages.archive.d]\nsigned_by = []\n", 4, "signed_by is empty", ""),
        (
            f"[packages.archive.d]\nsigned_by = ['{FINGERPRINT}']\norigin = '*'\n",
            *(5, "without stars", ""),
        ),
        ("schema = 1\n", 3, "cannot overwrite a value", ""),
        ("[a\n", 3, "expected", ""),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, line: int, says: str, hint: str) -> None:
    error = refusal(f"{HEAD}{text}".encode())
    assert str(error).startswith(f"{HERE}:{line}: ")
    assert says in str(error)
    assert hint in error.hint
    assert "\n" not in str(error)
    assert error.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", ":1: schema is missing"),
        (b"schema = 2\nnew = 1\n", ":1: schema is 2, and this snaproot reads 1"),
        (b"version = 1\nschema = true\n", ":2: schema is true"),
        (b"schema = 1\n", ":1: version is missing"),
        (b"schema = 1\nversion = 0\n", ":2: version is 0"),
        (b"schema = 1\nversion = '1'\n", ':2: version is "1"'),
        (b"schema = 1\n# \xff\n", ":2: it is not UTF-8"),
        (b"schema = 1\nversion = " + b"9" * 4000, "too many digits"),
        (b"schema = 1\nversion = 1\nx = [0x" + b"f" * 4000 + b"]", "too many digits"),
        (b"a = " + b"[" * 4000, "it is nested too deeply"),
        (b"a" + b".a" * 2000 + b" = 1", "it is nested too deeply"),
        (b"a" + b".a" * 3000 + b" = 1", "it is too large"),
        (b"a = " + b"[" * 20 + b"]" * 20, "it is nested too deeply"),
        (b"#" * (1 << 17), "it is too large"),
        (b"\n" * 3000, "it is too large"),
    ],
)
def test_what_is_no_policy_at_all(content: bytes, says: str) -> None:
    assert says in str(refusal(content))


@pytest.mark.parametrize("value", ["\u202e", "\x9b31m", "x" * 3000], ids=ascii)
def test_a_mistake_is_shown_as_something_to_read(value: str) -> None:
    said = str(refusal(f'{HEAD}require = "{value}"\n'.encode()))
    assert said.isprintable()
    assert len(said) < 400


def test_more_authorities_than_anybody_writes_are_refused() -> None:
    text = "".join(authority(name=f"a{number}") for number in range(65))
    assert "has 65 tables" in str(refusal(f"{HEAD}{text}".encode()))


def test_groups_that_share_members_end_all_the_same() -> None:
    names = [f"g{number}" for number in range(60)]
    text = "".join(
        f"[group.{name}]\nneed = 1\nof = ['a', {', '.join(map(repr, names[number + 1 :]))}]\n"
        for number, name in enumerate(names)
    )
    assert policy(f"require = 'g0'\n{authority()}{text}").asked == ("a",)


# -- what had better not be ---------------------------------------------------------------------

SOUND = ALL.replace("grace_days = 5\n", "").replace('expired = "grace"\n', "")
SOUND = SOUND.replace('unauthenticated = "allow"\n', "").replace('downgrade = "allow"\n', "")


def remarks(text: str, now: datetime = NOW) -> list[str]:
    return [f"{r.weight}: {r.code}" for r in lint(parse(text.encode(), HERE), now)]


def test_choices_to_be_sure_of_are_named() -> None:
    assert set(remarks(ALL)) == {
        *("warning: lint.grace", "warning: lint.unauthenticated", "warning: lint.downgrade"),
        *("warning: lint.glob", "warning: lint.email", "warning: lint.any-one"),
    }


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("expires = 2027-02-20T01:00:00+01:00\n", "", "warning: lint.no-expiry"),
        ("2027-02-20", "2026-12-20", "warning: lint.expires-soon"),
        ("2027-02-20", "2026-11-20", "error: lint.expired"),
        ("maximum_age_days = 30\n", "", "warning: lint.no-maximum-age"),
        ('require = "all"\n', "", "error: lint.no-require"),
        ('require = "all"', 'require = "rebuilders"', "warning: lint.unused"),
        ('require = "all"', 'require = "rebuilders"', "error: lint.no-release"),
        ('of = ["rb0", "rb1", "rb0"]', 'of = ["rb0"]', "warning: lint.one-member"),
        ('build_type = "https://ci.example/bt/v1"\n', "", "warning: lint.no-build-type"),
    ],
)
def test_each_thing_that_is_unwise(old: str, new: str, code: str) -> None:
    assert old in SOUND
    assert code in {*remarks(SOUND.replace(old, new))} - {*remarks(SOUND)}


def test_one_person_under_two_names_cannot_be_two() -> None:
    twice = SOUND.replace('identity = "rb1', 'identity = "rb0')
    assert "error: lint.unsatisfiable" not in remarks(twice)
    both = twice.replace("[group.rebuilders]\nneed = 1", "[group.rebuilders]\nneed = 2")
    assert remarks(both)[0] == "error: lint.unsatisfiable"


def test_without_revocations_and_a_pinned_root_it_is_said() -> None:
    text = f"{HEAD}require = 'a'\n{authority()}"
    found = set(remarks(text))
    assert {"warning: lint.no-revocations", "warning: lint.no-trusted-root"} <= found
    assert "warning: lint.no-release" in found


def test_a_large_group_is_no_trouble() -> None:
    names = [f"a{number}" for number in range(40)]
    text = "".join(authority(name=n).replace("a@", f"{n}@") for n in names)
    text = f"{HEAD}require = 'g'\n{text}[group.g]\nneed = 20\nof = {names}\n"
    assert not any(r.weight is Weight.ERROR for r in lint(parse(text.encode(), HERE), NOW))


# -- whatever goes in ---------------------------------------------------------------------------

LINES = ALL.splitlines(keepends=True)
ODD = [
    "[x]\n",
    "x = 1\n",
    "need = 99\n",
    "of = []\n",
    "'''\n",
    '"""\n',
    "[[group]]\n",
    "a.b.c = 1\n",
]


@cases(60)
@given(st.data())
def test_of_a_damaged_policy_only_our_error_leaves(data: st.DataObject) -> None:
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        how = data.draw(st.sampled_from(["drop", "odd", "cut", "swap"]))
        if how == "drop":
            del lines[at]
        elif how == "odd":
            lines.insert(at, data.draw(st.sampled_from(ODD)))
        elif how == "cut":
            lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
        else:
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
    read("".join(lines).encode())


@cases(200)
@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(lambda t: f"{HEAD}{t}".encode("utf-8", "replace"))
)
def test_of_any_bytes_only_our_error_leaves(content: bytes) -> None:
    read(content)


def read(content: bytes) -> None:
    try:
        lint(parse(content, HERE), NOW)
    except ConfigError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said

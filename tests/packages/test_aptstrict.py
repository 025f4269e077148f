import pytest

from snaproot.packages import aptstrict
from snaproot.trust.policy import Leave, Packages

STRICT = Packages()
UNSIGNED = Packages(unauthenticated=Leave.ALLOW)
TRUSTED = Packages(trusted_yes=Leave.ALLOW)
OLDER = Packages(downgrade=Leave.ALLOW)
ALL = Packages(unauthenticated=Leave.ALLOW, trusted_yes=Leave.ALLOW, downgrade=Leave.ALLOW)
DUMPED = """\
APT "";
APT::Architecture "amd64";
APT::Architectures "";
APT::Architectures:: "amd64";
APT::Sources "";
APT::Sources::With "";
Acquire "";
Acquire::gpgv "";
Acquire::gpgv::Options "";
Acquire::Min-ValidTime "86400";
Dir::Bin::methods "/usr/lib/apt/methods";
Dir::Bin::solvers:: "/usr/lib/apt/solvers";
Binary "apt-config";
Binary::apt::APT::Keep-Downloaded-Packages "0";
Binary::apt-get::APT::Keep-Downloaded-Packages "0";
APT::Hashes::SHA1::Weak "no";
CommandLine::AsString "apt-config dump";
"""


@pytest.mark.parametrize(
    ("rules", "let"),
    [
        (STRICT, set()),
        (TRUSTED, set()),
        (OLDER, {"APT::Get::allow-downgrades"}),
        (UNSIGNED, {"APT::Get::AllowUnauthenticated", "Acquire::AllowInsecureRepositories"}),
    ],
    ids=["strict", "trusted", "older", "unsigned"],
)
def test_apt_is_let_what_the_policy_says_and_no_more(rules: Packages, let: set[str]) -> None:
    given, strict = aptstrict.options(rules), aptstrict.options(STRICT)
    assert {name for name, value in given.items() if strict[name] != value} == let
    assert all(given[name] == "true" for name in let)


def test_no_policy_keeps_what_has_expired_or_lost_its_signature() -> None:
    given = aptstrict.options(ALL)
    assert given["Acquire::Check-Valid-Until"] == given["Acquire::Check-Date"] == "true"
    assert given["Acquire::Min-ValidTime"] == "0"
    assert given["Acquire::AllowDowngradeToInsecureRepositories"] == "false"
    assert given["APT::Get::force-yes"] == "false"


@pytest.mark.parametrize(
    ("rules", "lenient"), [(STRICT, False), (OLDER, False), (UNSIGNED, True), (TRUSTED, True)]
)
def test_a_warning_of_apts_counts_where_all_has_to_be_signed(
    rules: Packages, lenient: bool
) -> None:
    assert aptstrict.lenient(rules) is lenient


@pytest.mark.parametrize(
    "options", ["[%74rusted=yes]", '["trusted"=yes]', '[trus"ted=y"es]', "[arch=amd64 %74rusted=1"]
)
def test_options_that_apt_would_unquote_are_none_that_anybody_means(options: str) -> None:
    (found,) = aptstrict.lax_sources(f"deb {options} http://x y z\n", STRICT)[:1]
    assert found.startswith(options[:8])
    assert aptstrict.lax_sources('# deb [%74rusted=yes] x\nDescription: 100 % "x"\n', ALL) == ()


def test_sources_that_switch_checks_off_are_found_in_both_formats() -> None:
    lax = "deb [arch=amd64 trusted=yes] http://x y z\nTypes: deb\nAllow-Insecure: yes\n"
    fine = "deb [trusted=no] http://x y z\n# deb [trusted=yes] http://x\nTrusted: no\n"
    assert aptstrict.lax_sources(lax, STRICT) == ("trusted=yes", "allow-insecure=yes")
    assert aptstrict.lax_sources(fine, STRICT) == ()
    assert aptstrict.lax_sources("deb [trusted+=yes,] http://x y z", STRICT) == ("trusted=yes,",)


def test_no_spelling_of_apts_hides_a_lax_source() -> None:
    for lax in (
        "deb [signed-by=/a#b trusted=yes] http://x y z\n",
        "Types: deb\nTrusted:\n yes\n",
        "Types: deb\nTrusted:\n# of course\n yes\n",
    ):
        assert aptstrict.lax_sources(lax, STRICT) == ("trusted=yes",)
    fine = "deb http://x y z # [trusted=yes]\nTrusted:\nURIs: x\n"
    assert aptstrict.lax_sources(fine, STRICT) == ()


OFF = "Types: deb\nTrusted: yes\nEnabled: no\n"


@pytest.mark.parametrize("sources", [OFF, f"{OFF}\nTypes: deb\n", f"Types: deb\n\n\n{OFF.upper()}"])
def test_what_is_switched_off_is_no_matter(sources: str) -> None:
    assert aptstrict.lax_sources(sources, STRICT) == ()


@pytest.mark.parametrize(
    "sources",
    [
        OFF.replace("no", "yes"),
        OFF.replace("no", "nope"),
        f"{OFF} yes\n",
        f"{OFF} # or so\n",
        f"{OFF}Enabled: yes\n",
        f"{OFF} \nEnabled: yes\n",
        OFF.replace("Enabled", " \nEnabled"),
        OFF.replace("Enabled", "#\nEnabled"),
        f"deb [trusted=yes] http://x y z\n{OFF}",
        f"Types: deb\nTrusted: yes\n\n{OFF}",
        OFF.replace("\n", "\r\n"),
    ],
)
def test_what_might_be_switched_on_is_looked_at(sources: str) -> None:
    assert "trusted=yes" in [one.lower() for one in aptstrict.lax_sources(sources, STRICT)]


@pytest.mark.parametrize(
    ("said", "by"),
    [
        ("trusted=yes", TRUSTED),
        ("allow-insecure=yes", UNSIGNED),
        ("allow-weak=1", UNSIGNED),
        ("allow-downgrade-to-insecure=yes", None),
        ("check-valid-until=no", None),
        ("check-date=0", None),
        ("check-date=nonsense", None),
        ("valid-until-min=864000", None),
        ("date-max-future=3600", None),
    ],
)
def test_a_source_may_say_what_the_policy_lets_it(said: str, by: Packages | None) -> None:
    line, stanza = f"deb [{said}] http://x y z\n", f"Types: deb\n{said.replace('=', ': ')}\n"
    for rules in (STRICT, UNSIGNED, TRUSTED, OLDER, *(() if by else (ALL,))):
        for source in (line, stanza.title(), stanza):
            found = [one.lower() for one in aptstrict.lax_sources(source, rules)]
            assert found == ([] if rules is by else [said])


def test_a_source_may_be_stricter_than_apt() -> None:
    for said in ("check-valid-until=yes", "valid-until-max=86400", "allow-weak=no", "trusted=no"):
        assert aptstrict.lax_sources(f"deb [{said}] http://x y z\n", STRICT) == ()


def test_what_the_command_line_takes_back_is_no_matter() -> None:
    dumped = DUMPED + 'APT::Get::AllowUnauthenticated "true";\nAcquire::Check-Date "no";\n'
    assert aptstrict.lax_settings(dumped) == ()
    assert aptstrict.architecture(dumped) == "amd64"
    assert aptstrict.architecture("") == ""


@pytest.mark.parametrize(
    "line",
    [
        'Acquire::gpgv::Options:: "--ignore-valid-from"',
        'Acquire::Min-ValidTime::Debian "8640000"',
        'ACQUIRE::Max-FutureTime::Debian "8640000"',
        'APT::Sources::With:: "/tmp/mawk.deb"',
        'APT::Sources::With "/tmp/mawk.deb"',
        'Apt::Key::gpgvcommand "/bin/true"',
        'Dir::Bin::apt-key "/bin/true"',
        'Dir::Bin::Methods::gpgv "/bin/true"',
        'Dir::Bin::Methods::sqv "/bin/true"',
        'APT::Hashes::SHA1::Weak "true"',
        'Binary::apt-get::APT::Sources::With:: "/tmp/mawk.deb"',
        'Binary::apt-get::Dir::Etc::sourcelist "elsewhere.list"',
    ],
)
def test_what_it_cannot_take_back_is_found(line: str) -> None:
    name, _, value = line.partition(" ")
    assert aptstrict.lax_settings(f"{DUMPED}{line};\n") == (f"{name} {value}",)

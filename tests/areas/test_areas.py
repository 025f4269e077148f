"""The list of areas, as it is kept outside every boot environment."""

import pytest

from snaproot import areas
from snaproot.areas import Area, Backup, Kind
from snaproot.errors import Refused

VAR = Area(name="var", subvolume="@snaproot/areas/var", mount="/var")
HOME = Area(name="home", subvolume="@home", mount="/home", mode="0711", owner="1000:100")
SWAP = Area(
    name="swap",
    subvolume="@snaproot/areas/swap",
    mount="",
    kind=Kind.SWAP,
    backup=Backup.SKIP,
    schema=3,
    extra={"note": "of a newer snaproot"},
)


def test_what_is_rendered_is_parsed_back_with_unknown_keys() -> None:
    assert areas.parse(areas.render([VAR, HOME, SWAP])) == (VAR, HOME, SWAP)


def test_format_number_comes_first() -> None:
    assert areas.render([VAR]).startswith("format = 1\n")


def test_the_innermost_area_holds_a_path() -> None:
    log = Area(name="var-log", subvolume="@log", mount="/var/log")
    assert areas.holding([VAR, log], "/var/log/syslog") is log
    assert areas.holding([VAR, log], "/var/logs") is VAR
    assert areas.holding([VAR, SWAP], "/usr") is None


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(Refused, match="format 2"):
        areas.parse("format = 2\n")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("format = 1", "", "format number"),
        ("[[area]]", "[area]", "no list of tables"),
        ('name = "var"', 'name = "../x"', "not written as"),
        ('mode = "0755"', 'mode = "rwx"', "not written as"),
        ('owner = "0:0"', 'owner = "root"', "not written as"),
        ('subvolume = "@snaproot/areas/var"', 'subvolume = "../../etc"', "no path from the top"),
        ('subvolume = "@snaproot/areas/var"', "", "misses or misplaces 'subvolume'"),
        ('mount = "/var"', 'mount = "var"', "no absolute path"),
        ('kind = "data"', 'kind = "stuff"', "not a valid Kind"),
        ("schema = 0", 'schema = "0"', "misses or misplaces schema"),
    ],
)
def test_damage_is_a_value_error(old: str, new: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        areas.parse(areas.render([VAR]).replace(old, new))


def test_two_areas_never_share_a_place() -> None:
    with pytest.raises(ValueError, match="mount /var"):
        areas.render([VAR, Area(name="x", subvolume="y", mount="/var")])

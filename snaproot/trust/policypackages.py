"""[packages] of policy.toml: which archives, and what `run` and `shell` may do. Pure."""

from types import MappingProxyType

from snaproot.errors import ConfigError
from snaproot.trust import policyschema as forms
from snaproot.trust.policy import Archive, Archives, Leave, Packages, Running
from snaproot.trust.policyschema import Table


def packages(table: Table) -> Packages:
    """Read [packages]. Raises ConfigError."""
    leaves = ("unauthenticated", "trusted_yes", "downgrade")
    table.only("archives", "archive", *leaves, "run", "shell")
    archives = table.choice("archives", Archives, Archives.REFUSE)
    pinned = {name: _archive(name, one) for name, one in table.tables("archive").items()}
    if bool(pinned) != (archives is Archives.PINNED):
        raise _half_pinned(table, archives)
    return Packages(
        archives=archives,
        pinned=MappingProxyType(pinned),
        unauthenticated=table.choice("unauthenticated", Leave, Leave.REFUSE),
        trusted_yes=table.choice("trusted_yes", Leave, Leave.REFUSE),
        downgrade=table.choice("downgrade", Leave, Leave.REFUSE),
        run=table.choice("run", Running, Running.REFUSE),
        shell=table.choice("shell", Running, Running.REFUSE),
    )


def _half_pinned(table: Table, archives: Archives) -> ConfigError:
    if archives is Archives.PINNED:
        what = 'packages.archives is "pinned", and no archive is'
        return table.wrong("archives", what, "[packages.archive.NAME] pins one")
    what = f'archives are pinned, and packages.archives is "{archives}"'
    return table.wrong("archive", what, 'archives = "pinned"')


def _archive(name: str, table: Table) -> Archive:
    table.only("origin", "suite", "signed_by")
    keys = table.texts("signed_by", forms.bad_fingerprint)
    if not keys:
        raise table.wrong("signed_by", f"{table.named('signed_by')} is empty; no key would do")
    return Archive(
        name=name,
        origin=table.text("origin", forms.bad_origin),
        suite=table.text("suite", forms.bad_origin),
        signed_by=keys,
    )

"""How files are kept in a dataset, such as ACLs: what a clone or a new one would not inherit."""

from collections.abc import Mapping, Sequence

from snaproot.filesystem.zfs import commands

_CARRIED = (
    *("aclinherit", "acltype", "atime", "compression", "devices", "dnodesize", "exec"),
    *("logbias", "recordsize", "redundant_metadata", "relatime", "setuid", "xattr"),
)
"""What a dataset may have set on itself or inherit: another one inherits from elsewhere."""


def carry(models: Mapping[str, str]) -> None:
    """Give each dataset what differs from its model, by one look at all of them."""
    found = commands.values(_CARRIED, *models, *models.values())
    for name, model in models.items():
        wanted = _unlike(found, _CARRIED, model, name)
        if wanted:
            commands.put(name, wanted)


def settle(name: str, above: str) -> None:
    """Let a dataset keep what it has when it inherits from another one."""
    wanted = unlike(name, above, _CARRIED)
    if wanted:
        commands.put(name, wanted)


def unlike(model: str, name: str, properties: Sequence[str]) -> Mapping[str, str]:
    """Name the properties of a model that a dataset does not have, with their values."""
    return _unlike(commands.values(properties, model, name), properties, model, name)


def _unlike(
    found: Mapping[tuple[str, str], str], properties: Sequence[str], model: str, name: str
) -> dict[str, str]:
    return {
        one: found[model, one]
        for one in properties
        if (model, one) in found and found[model, one] != found.get((name, one))
    }

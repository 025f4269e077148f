"""What ZFSBootMenu is told of a pool: properties of roots' datasets, and `bootfs`."""

from collections.abc import Mapping
from dataclasses import dataclass

from snaproot.filesystem.zfs import commands, listing
from snaproot.filesystem.zfs.view import View


@dataclass(frozen=True, slots=True)
class PoolDatasets:
    """Implements `snaproot.bootloader.zfsbootmenu.Datasets`."""

    view: View

    def roots(self) -> Mapping[str, str]:
        found, original = listing.environments(self.view), listing.original(self.view)
        ours = {one.id: self.view.names.root(one.id) for one in found}
        return ours | ({original.id: original.dataset} if original else {})

    def get(self, dataset: str, name: str) -> str:
        return commands.local(dataset).get(dataset, {}).get(name, "")

    def set(self, dataset: str, name: str, value: str) -> None:
        commands.put(dataset, {name: value})

    def bootfs(self) -> str:
        return commands.pool_value(self.view.pool, "bootfs").removeprefix("-")

    def set_bootfs(self, dataset: str) -> None:
        commands.put_pool(self.view.pool, "bootfs", dataset)

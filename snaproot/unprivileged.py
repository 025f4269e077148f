"""What anybody may know of the running system: the kernel's list of mounts says what runs. Pure."""

from snaproot import ids
from snaproot.filesystem.layout import environment_of
from snaproot.filesystem.zfs.names import id_of


def running(mountinfo: str) -> str | None:
    """Name the boot environment mounted at / in the text of proc_pid_mountinfo(5); else None."""
    found = None
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if fields[4:5] == ["/"]:  # a later mount lies over an earlier one
            found = environment_of(fields[3].removeprefix("/")) or _on_zfs(fields)
    return found


def _on_zfs(fields: list[str]) -> str | None:
    """Name the dataset's boot environment: the properties that mark it are not asked for."""
    kind, source = fields[fields.index("-") + 1 :][:2] if "-" in fields else ("", "")
    id = id_of(source) if kind == "zfs" else None
    return id if id is not None and ids.is_made(id) else None

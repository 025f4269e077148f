"""What anybody may know of the running system: the kernel's list of mounts says what runs. Pure."""

from snaproot.filesystem.layout import environment_of


def running(mountinfo: str) -> str | None:
    """Name the boot environment mounted at / in the text of proc_pid_mountinfo(5); else None."""
    found = None
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if fields[4:5] == ["/"]:  # a later mount lies over an earlier one
            found = environment_of(fields[3].removeprefix("/"))
    return found

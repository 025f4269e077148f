"""The filesystem's contract on a real pool. Runs in a bench."""

from tests.contract.filesystem import FilesystemContract


class TestZfs(FilesystemContract):
    """Everything that the fake and Btrfs have to do, too."""

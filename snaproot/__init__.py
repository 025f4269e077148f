"""Every update of a Linux root as a transaction, on Btrfs and ZFS."""

__version__ = "0.1.0"

"""The ZFS backend: datasets below `<pool>/ROOT` and `<pool>/snaproot`, made by libzfs_core."""

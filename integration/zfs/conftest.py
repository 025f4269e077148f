"""Which tests here are for which machine: all but a bench's own kernel has no module for them."""

from pathlib import Path

collect_ignore_glob = [] if Path("/dev/zfs").exists() else ["test_*.py"]

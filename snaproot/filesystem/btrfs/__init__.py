"""The Btrfs backend: subvolumes below `@snaproot`, read and made through libbtrfsutil."""

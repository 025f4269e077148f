"""A real ZFS pool in a virtual machine: this machine's kernel may have no module for it.

`module` builds it, `bench` lends a machine that has it, `bed` lays a pool out inside.
"""

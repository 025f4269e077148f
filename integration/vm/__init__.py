"""Stock Debian machines under emulation: their images, their disks, and what they say.

`images` makes and keeps disk images, `machine` lends one to a scenario, `guest` is what runs of it.
"""

"""Transparency logs in C2SP's formats: what a log says of itself, and who else has seen it. Pure.

`checkpoint` reads what a log says, `merkle` verifies proofs against it, `cosignature` has what a
witness signs. `note` reads signed notes and verifies them, `quorum` says which witnesses suffice.
"""

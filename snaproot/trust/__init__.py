"""Whom to believe: what a signature establishes, what the policy makes of it, and what is revoked.

`facts` are the words that the others share. `sigstore` alone imports the library of that name and
establishes facts; `policy` and `revocation` judge them and are pure.
"""

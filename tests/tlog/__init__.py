"""Tests of transparency logs, and signers for them."""

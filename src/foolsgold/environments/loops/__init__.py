"""Loops: small programs, what they are to keep true, and the invariants that prove it."""

"""Rewards that cannot be fooled: programs run against tests, proofs checked by a kernel, invariants by a solver."""

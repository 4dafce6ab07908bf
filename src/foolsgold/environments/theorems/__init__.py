"""Theorems of propositional logic: made at random, decided, proved, and stated to Coq and to Lean."""

"""Comparisons as other programs write and read them: rows of TRL, Argilla, Label Studio, crowds, and pairs of SGF."""

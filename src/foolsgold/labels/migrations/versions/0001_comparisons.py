"""Raters, prompts, candidates and comparisons: the format that stores began with."""

revision = "1"
down_revision = None


def upgrade() -> None:
    """Nothing: no store is older."""

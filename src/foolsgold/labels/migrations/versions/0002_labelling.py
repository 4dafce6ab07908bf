"""Retractions, strengths, "both bad"; projects, pairs, members and places."""

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"

_KEY = sa.LargeBinary(16)


def upgrade() -> None:
    """From format 1. The tables are spelt out: they must stay what they were when this format was new."""
    _add_projects()
    with op.batch_alter_table("comparisons", copy_from=_comparisons_of_format_1()) as comparisons:
        comparisons.add_column(sa.Column("strength", sa.Integer))
        comparisons.add_column(sa.Column("planted", sa.Text))
        comparisons.add_column(sa.Column("project_id", sa.Integer))
        comparisons.create_foreign_key("comparisons_project_id_fkey", "projects", ["project_id"], ["id"])
        comparisons.drop_constraint("known_preference", type_="check")
        comparisons.create_check_constraint("known_preference", "preferred IN ('a', 'b', 'tie', 'both_bad', 'skipped')")
        comparisons.create_check_constraint("known_strength", "strength BETWEEN 1 AND 3")
        comparisons.create_check_constraint("known_planted", "planted IN ('check', 'repeat')")
    _index("comparisons_of_project", "comparisons", ["project_id", "rater", "id"], "project_id IS NOT NULL")
    op.create_table(
        "retractions",
        sa.Column("comparison_id", sa.Integer, sa.ForeignKey("comparisons.id"), primary_key=True, autoincrement=False),
        sa.Column("created", sa.Text, nullable=False),
    )
    _add_places()
    op.execute("UPDATE foolsgold_store SET version = 2")


def _comparisons_of_format_1() -> sa.Table:
    return sa.Table(
        "comparisons",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", _KEY, nullable=False, unique=True),
        sa.Column("prompt_key", _KEY, sa.ForeignKey("prompts.key"), nullable=False),
        sa.Column("a_key", _KEY, sa.ForeignKey("candidates.key"), nullable=False),
        sa.Column("b_key", _KEY, sa.ForeignKey("candidates.key"), nullable=False),
        sa.Column("preferred", sa.Text, nullable=False),
        sa.Column("rater", sa.Text, sa.ForeignKey("raters.name"), nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float),
        sa.Column("source", sa.Text, nullable=False),
        sa.CheckConstraint("preferred IN ('a', 'b', 'tie', 'skipped')", name="known_preference"),
    )


def _add_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("guidelines", sa.Text, nullable=False),
        sa.Column("display", sa.Text, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
    )
    op.create_table(
        "pairs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("project_id", sa.Integer, sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("prompt_key", _KEY, sa.ForeignKey("prompts.key"), nullable=False),
        sa.Column("a_key", _KEY, sa.ForeignKey("candidates.key"), nullable=False),
        sa.Column("b_key", _KEY, sa.ForeignKey("candidates.key"), nullable=False),
        sa.Column("wanted", sa.Integer, nullable=False),
        sa.Column("taken", sa.Integer, nullable=False),
        sa.Column("priority", sa.Float, nullable=False),
        sa.Column("shuffled", sa.BigInteger, nullable=False),
        sa.Column("known", sa.Text),
        sa.Column("details", sa.Text),
        sa.UniqueConstraint("project_id", "a_key", "b_key", name="one_pair"),
        sa.CheckConstraint("known IN ('a', 'b', 'tie', 'both_bad')", name="known_answer"),
    )
    _index("pairs_wanted", "pairs", ["project_id", sa.text("priority DESC"), "taken", "shuffled"], "taken < wanted")
    _index("pairs_known", "pairs", ["project_id", "shuffled"], "known IS NOT NULL")
    op.create_table(
        "members",
        sa.Column("project_id", sa.Integer, sa.ForeignKey("projects.id"), primary_key=True, autoincrement=False),
        sa.Column("rater", sa.Text, sa.ForeignKey("raters.name"), primary_key=True),
        sa.Column("token_hash", sa.LargeBinary, unique=True),
        sa.Column("joined", sa.Text, nullable=False),
        sa.Column("revoked", sa.Text),
        sa.Column("given", sa.Integer, nullable=False),
    )


def _add_places() -> None:
    op.create_table(
        "places",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("project_id", sa.Integer, sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("pair_id", sa.Integer, sa.ForeignKey("pairs.id"), nullable=False),
        sa.Column("rater", sa.Text, sa.ForeignKey("raters.name"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("swapped", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("opened", sa.Text, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
        sa.Column("comparison_id", sa.Integer, sa.ForeignKey("comparisons.id"), unique=True),
        sa.UniqueConstraint("pair_id", "rater", "kind", name="one_place"),
        sa.UniqueConstraint("project_id", "rater", "number", name="one_number"),
        sa.CheckConstraint("kind IN ('pair', 'check', 'repeat')", name="known_kind"),
        sa.CheckConstraint("state IN ('open', 'released', 'judged')", name="known_state"),
    )
    _index("one_open_place", "places", ["project_id", "rater"], "state = 'open'", unique=True)
    _index("places_expiring", "places", ["project_id", "expires"], "state = 'open'")
    _index("places_released", "places", ["project_id", "rater"], "state = 'released'")


def _index(name: str, table: str, columns: list, where: str, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)

"""The tables of a comparison store.

Judgements are only ever appended: what a rater takes back stays, with a row in `retractions` that points at it. Rows
of projects, pairs, members and places say how the work stands and do change.

A change here needs a new `SCHEMA_VERSION` and a migration of that number in `migrations/versions`.
"""

from __future__ import annotations

import sqlalchemy as sa

from foolsgold.labels.comparison import KEY_BYTES

SCHEMA_VERSION = 2

schema = sa.MetaData()
_Key = sa.LargeBinary(KEY_BYTES)

store = sa.Table(
    "foolsgold_store",
    schema,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint("id = 1", name="one_row"),
)
raters = sa.Table(
    "raters",
    schema,
    sa.Column("name", sa.Text, primary_key=True),
)
prompts = sa.Table(
    "prompts",
    schema,
    sa.Column("key", _Key, primary_key=True),
    sa.Column("content", sa.Text, nullable=False),
)
candidates = sa.Table(
    "candidates",
    schema,
    sa.Column("key", _Key, primary_key=True),
    sa.Column("prompt_key", _Key, sa.ForeignKey("prompts.key"), nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("source", sa.Text, comment="JSON"),
)
comparisons = sa.Table(
    "comparisons",
    schema,
    sa.Column("id", sa.Integer, primary_key=True, comment="order of arrival"),
    sa.Column("key", _Key, nullable=False, unique=True),
    sa.Column("prompt_key", _Key, sa.ForeignKey("prompts.key"), nullable=False),
    sa.Column("a_key", _Key, sa.ForeignKey("candidates.key"), nullable=False),
    sa.Column("b_key", _Key, sa.ForeignKey("candidates.key"), nullable=False),
    sa.Column("preferred", sa.Text, nullable=False),
    sa.Column("rater", sa.Text, sa.ForeignKey("raters.name"), nullable=False),
    sa.Column("created", sa.Text, nullable=False, comment="ISO 8601, UTC, to the microsecond"),
    sa.Column("seconds", sa.Float),
    sa.Column("source", sa.Text, nullable=False, comment="JSON"),
    sa.Column("strength", sa.Integer),
    sa.Column("planted", sa.Text, comment="what it measured the rater by, null where it is data"),
    sa.Column("project_id", sa.Integer, sa.ForeignKey("projects.id")),
    # A rater may decline to judge; such rows are kept but are no comparisons.
    sa.CheckConstraint("preferred IN ('a', 'b', 'tie', 'both_bad', 'skipped')", name="known_preference"),
    sa.CheckConstraint("strength BETWEEN 1 AND 3", name="known_strength"),
    sa.CheckConstraint("planted IN ('check', 'repeat')", name="known_planted"),
)
_of_projects = comparisons.c.project_id.is_not(None)
sa.Index(
    "comparisons_of_project",
    comparisons.c.project_id,
    comparisons.c.rater,
    comparisons.c.id,
    sqlite_where=_of_projects,
    postgresql_where=_of_projects,
)
retractions = sa.Table(
    "retractions",
    schema,
    sa.Column("comparison_id", sa.Integer, sa.ForeignKey("comparisons.id"), primary_key=True, autoincrement=False),
    sa.Column("created", sa.Text, nullable=False, comment="ISO 8601, UTC, to the microsecond"),
)
projects = sa.Table(
    "projects",
    schema,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("guidelines", sa.Text, nullable=False),
    sa.Column("display", sa.Text, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("settings", sa.Text, nullable=False, comment="JSON"),
    sa.Column("created", sa.Text, nullable=False, comment="ISO 8601, UTC, to the microsecond"),
)
pairs = sa.Table(
    "pairs",
    schema,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("project_id", sa.Integer, sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("prompt_key", _Key, sa.ForeignKey("prompts.key"), nullable=False),
    sa.Column("a_key", _Key, sa.ForeignKey("candidates.key"), nullable=False),
    sa.Column("b_key", _Key, sa.ForeignKey("candidates.key"), nullable=False),
    sa.Column("wanted", sa.Integer, nullable=False, comment="judgements by different raters; 0 for a check"),
    sa.Column("taken", sa.Integer, nullable=False, comment="open places and judgements that count"),
    sa.Column("priority", sa.Float, nullable=False, comment="the highest first"),
    sa.Column("shuffled", sa.BigInteger, nullable=False, comment="order among equals, by the project's seed"),
    sa.Column("known", sa.Text, comment="the right answer of an attention check"),
    sa.Column("details", sa.Text, comment="JSON"),
    sa.UniqueConstraint("project_id", "a_key", "b_key", name="one_pair"),
    sa.CheckConstraint("known IN ('a', 'b', 'tie', 'both_bad')", name="known_answer"),
)
is_wanted = pairs.c.taken < pairs.c.wanted
is_check = pairs.c.known.is_not(None)
# The next pair is the first entry of this index that its rater has not had; fresh pairs come before begun ones.
sa.Index(
    "pairs_wanted",
    pairs.c.project_id,
    pairs.c.priority.desc(),
    pairs.c.taken,
    pairs.c.shuffled,
    sqlite_where=is_wanted,
    postgresql_where=is_wanted,
)
sa.Index(
    "pairs_known", pairs.c.project_id, pairs.c.shuffled, sqlite_where=is_check, postgresql_where=is_check
)  # fmt: skip
members = sa.Table(
    "members",
    schema,
    sa.Column("project_id", sa.Integer, sa.ForeignKey("projects.id"), primary_key=True, autoincrement=False),
    sa.Column("rater", sa.Text, sa.ForeignKey("raters.name"), primary_key=True),
    sa.Column("token_hash", sa.LargeBinary, unique=True, comment="null: no link, or a revoked one"),
    sa.Column("joined", sa.Text, nullable=False, comment="ISO 8601, UTC, to the microsecond"),
    sa.Column("revoked", sa.Text, comment="ISO 8601, UTC, to the microsecond"),
    sa.Column("given", sa.Integer, nullable=False, comment="places handed out so far"),
)
places = sa.Table(
    "places",
    schema,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("project_id", sa.Integer, sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("pair_id", sa.Integer, sa.ForeignKey("pairs.id"), nullable=False),
    sa.Column("rater", sa.Text, sa.ForeignKey("raters.name"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False, comment="the rater's first place of the project is 1"),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("swapped", sa.Boolean, nullable=False, comment="candidate b was shown on the left"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("opened", sa.Text, nullable=False, comment="ISO 8601, UTC, to the microsecond"),
    sa.Column("expires", sa.Float, nullable=False, comment="seconds since 1970"),
    sa.Column(
        "comparison_id", sa.Integer, sa.ForeignKey("comparisons.id"), unique=True, comment="the judgement in force"
    ),
    sa.UniqueConstraint("pair_id", "rater", "kind", name="one_place"),
    sa.UniqueConstraint("project_id", "rater", "number", name="one_number"),
    sa.CheckConstraint("kind IN ('pair', 'check', 'repeat')", name="known_kind"),
    sa.CheckConstraint("state IN ('open', 'released', 'judged')", name="known_state"),
)
is_open = places.c.state == sa.literal_column("'open'")
is_released = places.c.state == sa.literal_column("'released'")
sa.Index(
    "one_open_place",
    places.c.project_id,
    places.c.rater,
    unique=True,
    sqlite_where=is_open,
    postgresql_where=is_open,
)
sa.Index("places_expiring", places.c.project_id, places.c.expires, sqlite_where=is_open, postgresql_where=is_open)
sa.Index("places_released", places.c.project_id, places.c.rater, sqlite_where=is_released, postgresql_where=is_released)

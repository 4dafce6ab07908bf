"""Stores of older formats brought to the present one, by alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection


def upgrade(connection: Connection, version: int) -> None:
    """Bring the tables from format `version` to the newest, in the caller's transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    # `foolsgold_store` is what says the format; alembic is told it, since new stores are made without alembic.
    command.stamp(config, str(version), purge=True)
    command.upgrade(config, "head")

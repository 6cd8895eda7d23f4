"""Bring a database to the newest schema. Safe to run twice, and by several processes at once."""

from importlib import resources

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

# Any constant will do; it only has to be the same in every process that migrates.
MIGRATION_LOCK = 0x5EE1_0001


def alembic_config() -> Config:
    """Alembic's configuration, found inside the installed package."""
    return Config(str(resources.files("infra").joinpath("alembic.ini")))


def migrate(engine: Engine) -> None:
    """Upgrade to the newest revision in one transaction, one process at a time; the others find nothing to do."""
    config = alembic_config()
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

"""Tables of a release that does not exist yet: two migrations of our own, after those there are."""

import shutil
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from evaluation_api.record import schema

#: What a release adds: a program before it writes rows without these columns, and reads past them.
_EXPANDS: Final = '''"""Add what programs of this release need not know."""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "9001", {head!r}


def upgrade() -> None:
    op.add_column("evaluations", sa.Column("channel", sa.String(16)))
    score = sa.Column("score", sa.Integer, nullable=False, server_default=sa.text("0"))
    op.add_column("reviews", score)
    op.create_table("channels", sa.Column("name", sa.String(16), primary_key=True))
'''
#: What the release after it takes away, once nobody uses it: the mark goes up with it.
_CONTRACTS: Final = '''"""Take away what the release before does not use any more."""
from alembic import op

revision, down_revision = "9002", "9001"


def upgrade() -> None:
    op.drop_column("evaluations", "milliseconds")
    op.execute("UPDATE marks SET value = '9001' WHERE name = 'readable_by'")
'''


def expand(engine: Engine, folder: Path) -> None:
    """Bring a database's tables to those of the next release. folder: empty, for its migrations."""
    _migrate(engine, folder, {"9001": _EXPANDS.format(head=schema.HEAD)})


def contract(engine: Engine, folder: Path) -> None:
    """Bring them to those of the release after the next."""
    _migrate(engine, folder, {"9001": _EXPANDS.format(head=schema.HEAD), "9002": _CONTRACTS})


def _migrate(engine: Engine, folder: Path, more: dict[str, str]) -> None:
    migrations = folder / f"migrations-{max(more)}"
    shutil.copytree(schema.MIGRATIONS, migrations)
    for version, text in more.items():
        (migrations / "versions" / f"{version}_next.py").write_text(text)
    schema.upgrade(engine, migrations)

"""Nothing any more: the views that it made are made by 0017, under the same names."""

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Leave the tables as they are."""

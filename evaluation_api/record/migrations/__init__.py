"""Alembic's migrations of the decision record."""

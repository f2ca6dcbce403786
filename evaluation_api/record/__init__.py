"""The keeper of the decision record, in SQLite or PostgreSQL. Knows the decision's values alone."""

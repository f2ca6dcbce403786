"""What names a thing and its time: ids that sort by when they were made, and the clock."""

from datetime import UTC, datetime

import uuid_utils


def new_id() -> str:
    """Return a UUIDv7 (RFC 9562): 36 characters, in the order of their milliseconds."""
    return str(uuid_utils.uuid7())


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)

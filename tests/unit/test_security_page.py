"""docs/security.md names tests that there are."""

import re

from tests.services import PROJECT


def test_every_test_that_the_page_on_security_names_is_there() -> None:
    page = (PROJECT / "docs/security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", page))

    assert len(named) > 15
    assert [name for name in named if not (PROJECT / name).exists()] == []

"""The vendored Bootstrap is Bootstrap's own: the hash is the one its makers publish."""

import base64
import hashlib
from pathlib import Path

import pytest

VENDORED = Path(__file__).parents[3] / "frontend" / "vendor" / "bootstrap-5.3.8"

# https://getbootstrap.com/docs/5.3/getting-started/download/ (the `integrity` of each file)
PUBLISHED_SHA384 = {
    "bootstrap.min.css": "sRIl4kxILFvY47J16cr9ZwB07vP4J8+LH7qKQnuqkuIAvNWLzeN8tE5YBujZqJLB",
}


@pytest.mark.parametrize(("name", "published"), PUBLISHED_SHA384.items())
def test_a_vendored_file_is_byte_for_byte_the_published_one(name: str, published: str) -> None:
    digest = hashlib.sha384((VENDORED / name).read_bytes()).digest()
    assert base64.b64encode(digest).decode() == published


def test_nothing_is_vendored_without_a_published_hash() -> None:
    names = {path.name for path in VENDORED.iterdir()}
    assert names == {*PUBLISHED_SHA384, "LICENSE"}


def test_bootstrap_keeps_its_licence() -> None:
    assert "The Bootstrap Authors" in (VENDORED / "LICENSE").read_text(encoding="utf-8")

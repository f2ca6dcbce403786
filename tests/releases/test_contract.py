"""What callers of the last release were promised holds for what is described now."""

import json

import pytest

from tests.openapi_changes import incompatible
from tests.releases.conftest import BEFORE, Halves
from tests.releases.serving import client
from tests.services import PROJECT

pytestmark = pytest.mark.release

#: What CHANGELOG.md tells callers of: near a border nothing is decided any more.
TOLD = {"GET /politica: 200 application/json.fronteira.decisao may be null"}


def test_callers_of_the_last_release_are_served_as_it_described(halves: Halves) -> None:
    with client(halves.evaluations[BEFORE, BEFORE]) as http:
        described = http.get("/openapi.json").json()

    now = json.loads((PROJECT / "docs/openapi.json").read_text(encoding="utf-8"))
    assert set(incompatible(described, now)) == TOLD

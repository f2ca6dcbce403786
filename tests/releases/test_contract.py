"""What callers of the last release were promised holds for what is described now."""

import json

import pytest

from evaluation_api.decision.domain import FEATURES
from tests.openapi_changes import incompatible
from tests.releases.conftest import BEFORE, Halves
from tests.releases.serving import client
from tests.services import PROJECT

pytestmark = pytest.mark.release

NEW_STATES = ("conferindo", "com_perguntas", "recusado")
#: What CHANGELOG.md tells callers of: near a border nothing is decided any more, a file is looked
#: at before it can begin, and of who was erased no amounts are told.
TOLD = {
    *(f"GET /avaliacoes/{{}}: 200 application/json.pedido.{name} may be null" for name in FEATURES),
    "GET /politica: 200 application/json.fronteira.decisao may be null",
    *(
        f"{asked} application/json.situacao may be '{value}'"
        for asked in (
            "GET /lotes/{}: 200",
            "POST /lotes/{}/cancelar: 200",
            "POST /lotes/{}/iniciar: 200",
            "POST /lotes/{}/pausar: 200",
            "POST /lotes/{}/retomar: 200",
            "POST /lotes: 201",
        )
        for value in NEW_STATES
    ),
    *(
        f"GET /lotes: 200 application/json.itens[].situacao may be '{value}'"
        for value in NEW_STATES
    ),
}


def test_callers_of_the_last_release_are_served_as_it_described(halves: Halves) -> None:
    with client(halves.evaluations[BEFORE, BEFORE]) as http:
        described = http.get("/openapi.json").json()

    now = json.loads((PROJECT / "docs/openapi.json").read_text(encoding="utf-8"))
    assert set(incompatible(described, now)) == TOLD

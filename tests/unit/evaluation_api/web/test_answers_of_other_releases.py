"""A stored answer with a field less than today's, or one more, is shown as it is."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import httpx
from sqlalchemy import Engine

from evaluation_api.app import create_fastapi_app
from evaluation_api.decision.domain import Search, Summary
from evaluation_api.record.chain import ChainLog
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.executor import RecordExecutor
from evaluation_api.record.journal import Journal
from evaluation_api.record.policies import PolicyLog
from evaluation_api.record.search.history import History
from tests.evaluations import POLICY, decided_entry


class Here:
    """Searches without threads."""

    def __init__(self, history: History) -> None:
        self._history = history

    async def search(self, search: Search) -> list[Summary]:
        return self._history.search(search)


class Services:
    """What the routes of the history need."""

    def __init__(self, engine: Engine, executor: RecordExecutor) -> None:
        self.executor = executor
        self.evaluations = EvaluationLog(engine)
        self.searches = Here(History(engine))
        self.policies = PolicyLog(engine)
        self.policy = POLICY
        self.journal = Journal(ChainLog(engine), executor)


def show(engine: Engine, paths: Sequence[str]) -> list[httpx.Response]:
    async def asked() -> list[httpx.Response]:
        app = create_fastapi_app()
        async with RecordExecutor() as executor:
            app.state.services = Services(engine, executor)
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as client:
                return [await client.get(path) for path in paths]

    return asyncio.run(asked())


def today() -> dict[str, Any]:
    entry = decided_entry()
    assert entry.answer is not None
    answer: dict[str, Any] = json.loads(entry.answer)
    return answer


def without(field: str) -> dict[str, Any]:
    """Return an answer that lacks a field, or the first reason or profile in it one of its own."""
    answer = today()
    outer, _, inner = field.partition(".")
    part = answer[outer] if inner else answer
    del (part[0] if isinstance(part, list) else part)[inner or outer]
    return answer


FIELDS = [*today(), "motivos.frase", "perfil.nome", "perfil_vizinho.nome"]
ANSWERS = {field: json.dumps(without(field), ensure_ascii=False) for field in FIELDS}
ANSWERS["novidade"] = json.dumps({**today(), "novidade": {"de": ["outra", 1.0]}})


def test_a_stored_answer_is_shown_whatever_fields_its_release_gave_it(
    engine: Engine, log: EvaluationLog
) -> None:
    ids = {}
    for field, answer in ANSWERS.items():
        entry = decided_entry()._replace(answer=answer)
        log.append([entry])
        ids[field] = entry.id

    records = show(engine, [f"/avaliacoes/{one}" for one in ids.values()])
    dossiers = show(engine, [f"/avaliacoes/{one}/dossie" for one in ids.values()])

    for field, record, dossier in zip(ids, records, dossiers, strict=True):
        assert (record.status_code, dossier.status_code) == (200, 200), field
        assert ANSWERS[field].encode() in record.content
        assert record.json()["decisao_final"] == "aprovado"
        assert "Aprovado" in dossier.text
        assert "None" not in dossier.text

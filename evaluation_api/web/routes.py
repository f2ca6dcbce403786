"""The routes: from a request to the use case and back. Status codes of errors are problems.py's."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, FastAPI, Header, Request, Response
from fastapi.responses import HTMLResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from evaluation_api.decision import policy_file
from evaluation_api.decision.errors import EvaluationError
from evaluation_api.decision.evaluation import Evaluator
from evaluation_api.decision.policy import Policy
from evaluation_api.model.client import ModelClient
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.executor import RecordExecutor
from evaluation_api.record.pending_worker import PendingWorker
from evaluation_api.record.policies import PolicyLog
from evaluation_api.runtime.identity import new_id
from evaluation_api.runtime.observation import MODEL_AWAY, PENDING
from evaluation_api.web import answers, dossier, openapi, requests
from evaluation_api.web.fast_route import FastRoute

#: Where most requests go.
EVALUATE: Final = "/avaliar"
JSON: Final = "application/json"
#: Of names and amounts: no browser keeps what it read, and going back shows what is recorded now.
NO_STORE: Final = {"Cache-Control": "no-store"}

router = APIRouter()


def install(app: FastAPI) -> None:
    """Give an application these routes."""
    # Not by way of a router: FastAPI looks for an included one's route twice.
    app.router.add_api_route(
        EVALUATE,
        evaluate,
        methods=["POST"],
        include_in_schema=False,
        route_class_override=FastRoute,
    )
    app.include_router(router)


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes need; app.py wires it."""

    evaluator: Evaluator
    model: ModelClient
    executor: RecordExecutor
    evaluations: EvaluationLog
    policies: PolicyLog
    policy: Policy
    pending: PendingWorker


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def evaluate(
    request: Request,
    sent: requests.ApplicantBody,
    idempotency_key: Annotated[str | None, Header()] = None,
    prefer: Annotated[str | None, Header()] = None,
) -> Response:
    """Avalia um cliente, registra a decisão e responde com ela."""
    applicant = requests.applicant_of(sent)
    key = requests.read_key(idempotency_key, applicant)
    may_wait = "respond-async" in (prefer or "")
    outcome = await _services(request).evaluator.evaluate(applicant, key, may_wait=may_wait)
    if outcome.answer is None:
        location = {"Location": f"/avaliacoes/{outcome.id}", "Retry-After": "1"}
        return Response(answers.pending(outcome.id), HTTPStatus.ACCEPTED, location, JSON)
    return Response(outcome.answer, media_type=JSON)


@router.get("/avaliacoes", **openapi.operation("Pagina", query=True))
async def search(request: Request) -> Response:
    """Lista as avaliações, da mais nova para a mais antiga, uma página por vez."""
    services = _services(request)
    wanted = requests.read_search(request.query_params)
    found = await services.executor.run_read(services.evaluations.search, wanted)
    page = answers.page(found, wanted.limit, services.policy)
    return Response(page, headers=NO_STORE, media_type=JSON)


@router.get("/avaliacoes/{evaluation_id}", **openapi.operation("Registro"))
async def find(request: Request, evaluation_id: str) -> Response:
    """Mostra uma avaliação com suas revisões."""
    services = _services(request)
    found = await services.executor.run_read(services.evaluations.find, evaluation_id)
    return Response(answers.recorded(found), headers=NO_STORE, media_type=JSON)


@router.post(
    "/avaliacoes/{evaluation_id}/revisao",
    **openapi.operation("Revisao", body="ReviewBody", status=HTTPStatus.CREATED),
)
async def review(request: Request, evaluation_id: str) -> Response:
    """Acrescenta a decisão de uma pessoa; a da máquina permanece."""
    sent = requests.read_review(await requests.read_body(request), new_id(), evaluation_id)
    services = _services(request)
    await services.executor.run_write(services.evaluations.review, sent)
    return Response(answers.review(sent), HTTPStatus.CREATED, media_type=JSON)


@router.get(
    "/avaliacoes/{evaluation_id}/dossie",
    response_class=HTMLResponse,
    responses={"default": openapi.PROBLEM},
)
async def show_dossier(request: Request, evaluation_id: str) -> Response:
    """Mostra, para imprimir, tudo o que explica uma avaliação."""
    services = _services(request)
    found = await services.executor.run_read(services.evaluations.find, evaluation_id)
    version = found.policy_version or services.policy.version
    source = await services.executor.run_read(services.policies.text, version)
    policy = services.policy if source is None else policy_file.parse(source)
    return HTMLResponse(dossier.render(found, policy), headers=NO_STORE)


@router.get("/politica", **openapi.operation("Politica"))
async def show_criteria(request: Request) -> Response:
    """Mostra os critérios em vigor, a quem quiser conhecê-los, como pede o artigo 20 da LGPD."""
    return Response(answers.criteria(_services(request).policy), media_type=JSON)


@router.get("/modelo", **openapi.operation("Modelo"))
async def show_model(request: Request) -> Response:
    """Mostra o modelo em serviço e os centros dos cinco perfis."""
    return Response(answers.geometry(await _services(request).model.describe()), media_type=JSON)


@router.get("/health", **openapi.operation("Saude"))
@router.get("/health/ready", **openapi.operation("Saude"))
async def ready(request: Request) -> Response:
    """Diz se o serviço pode receber pedidos, e qual parte não está bem.

    Sem o modelo o serviço continua pronto, em situação degradada: os pedidos ficam pendentes.
    """
    health = await _health(_services(request))
    status = HTTPStatus.OK if health.partes.banco == "ok" else HTTPStatus.SERVICE_UNAVAILABLE
    return Response(msgspec.json.encode(health), status, media_type=JSON)


@router.get("/health/live", **openapi.operation("Vida"))
async def live() -> Response:
    """Diz que o processo está vivo, e nada mais."""
    return Response(msgspec.json.encode(answers.Vida()), media_type=JSON)


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Give the Prometheus metrics of this process."""
    services = _services(request)
    PENDING.set(services.pending.waiting)
    MODEL_AWAY.set(services.model.is_away)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _health(services: Services) -> answers.Saude:
    pinged = services.executor.run_read(services.evaluations.ping)
    database, model = await asyncio.gather(_part(pinged), _part(services.model.describe()))
    worst = "ok" if model == "ok" else "degradada"
    return answers.Saude(
        worst if database == "ok" else "indisponivel", answers.Partes(database, model)
    )


async def _part(check: Awaitable[object]) -> str:
    try:
        await check
    except EvaluationError:
        return "indisponivel"
    return "ok"

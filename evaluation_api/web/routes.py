"""The routes: from a request to the use case and back. Statuses of errors: problem_table.py."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from fastapi.responses import HTMLResponse
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from pydantic import AfterValidator

from evaluation_api.access.identity import Identity, identity_of, label_of
from evaluation_api.access.roles import READING
from evaluation_api.decision import errors, policy_file
from evaluation_api.decision.domain import Recorded
from evaluation_api.decision.evaluation import Evaluator
from evaluation_api.decision.limits import READABLE
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.model.client import ModelClient
from evaluation_api.record import chain
from evaluation_api.record.credentials import CredentialLog
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.executor import RecordExecutor
from evaluation_api.record.journal import Journal
from evaluation_api.record.metrics import count_review
from evaluation_api.record.models import ModelLog
from evaluation_api.record.pending_worker import PendingWorker
from evaluation_api.record.policies import PolicyLog
from evaluation_api.record.search.searches import Searches
from evaluation_api.runtime.identity import new_id
from evaluation_api.web import answers, contract, disclosure, dossier, problems, requests
from evaluation_api.web.api_route import ApiRoute, FastRoute, SummarizedRoute, while_asked
from evaluation_api.web.problems import Responses, described

JSON: Final = "application/json"

#: Of names and amounts: no browser keeps what it read, and going back shows what is recorded now.
NO_STORE: Final = {"Cache-Control": "no-store"}
#: What health waits for the model; a probe waits 4 s, and a person less.
_MODEL_LOOK_SECONDS: Final = 0.1

_WAITING = Gauge("evaluation_pending", "Evaluations that wait for the model, as of the last look")
_MODEL_AWAY = Gauge("evaluation_model_away", "1 while the model service does not answer")

evaluations = APIRouter(route_class=ApiRoute, tags=["avaliacoes"])
criteria = APIRouter(route_class=ApiRoute, tags=["criterios"])
#: Asked by whoever watches the service, with whatever query they use.
probes = APIRouter(route_class=SummarizedRoute, tags=["servico"])

_EVALUATED: Final = described(
    *problems.OF_A_BODY,
    errors.IdempotencyKeyInFlightError,
    errors.IdempotencyKeyReusedError,
    errors.ModelError,
    errors.RecordUncertainError,
)
_PENDING: Final[Responses] = {
    HTTPStatus.ACCEPTED: {
        "model": contract.Pendente,
        "description": "O pedido aguarda o modelo",
        "headers": {
            "Location": problems.header("Onde a avaliação aparecerá"),
            "Retry-After": problems.RETRY_AFTER,
            "Preference-Applied": problems.header("Sempre respond-async"),
        },
    }
}
_LOOK_AGAIN: Final = {"Retry-After": "1"}
_AWAITED: Final = {**_LOOK_AGAIN, "Preference-Applied": "respond-async"}
_ONE: Final = described(errors.EvaluationNotFoundError)
_FOUND: Final[Responses] = {HTTPStatus.OK: {"headers": {"Retry-After": problems.RETRY_AFTER}}}
_REVIEWED: Final = described(
    *problems.OF_A_BODY,
    errors.EvaluationNotFoundError,
    errors.EvaluationPendingError,
    errors.EvaluationErasedError,
    errors.EvaluationCorrectedError,
    errors.OwnEvaluationError,
    errors.UnseenReviewsError,
    errors.IdempotencyKeyReusedError,
    errors.RecordUncertainError,
)
_UNHEALTHY: Final[Responses] = {
    HTTPStatus.SERVICE_UNAVAILABLE: {
        "model": contract.Saude,
        "description": "Sem o banco de dados, ou sem lugar para mais pedidos",
    }
}


def install(app: FastAPI, *, fast_path: bool = True) -> None:
    """Add these routes to an application. fast_path: have /avaliar read its requests by itself."""
    # Not by way of a router: FastAPI looks for an included one's route twice.
    app.router.add_api_route(
        "/avaliar",
        evaluate,
        methods=["POST"],
        operation_id="avaliar",
        tags=["avaliacoes"],
        response_model=contract.Avaliacao,
        responses=_EVALUATED | _PENDING,
        route_class_override=FastRoute if fast_path else ApiRoute,
    )
    for router in (evaluations, criteria, probes):
        app.include_router(router)


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes need; app.py wires it."""

    evaluator: Evaluator
    model: ModelClient
    executor: RecordExecutor
    evaluations: EvaluationLog
    searches: Searches
    policies: PolicyLog
    models: ModelLog
    policy: AnyPolicy
    pending: PendingWorker
    credentials: CredentialLog
    journal: Journal


def services_of(request: Request) -> Services:
    """Return what the application was wired with."""
    services: Services = request.app.state.services
    return services


async def _needed(request: Request) -> Services:
    """Return the same as a dependency; FastAPI would call one that is not async in a thread."""
    return services_of(request)


async def no_store(response: Response) -> None:
    """Have no browser keep an answer."""
    response.headers.update(NO_STORE)


async def _asking(request: Request) -> Identity:
    return identity_of(request.scope)


Needed = Annotated[Services, Depends(_needed)]
Asking = Annotated[Identity, Depends(_asking)]
PolicyVersionQuery = Annotated[
    str | None,
    Query(max_length=12, pattern=READABLE, description="Versão da política, como em `politica`"),
]
ModelTagQuery = Annotated[
    str | None,
    Query(max_length=80, pattern=READABLE, description="Versão do modelo, como em `modelo`"),
]
EvaluationId = Annotated[str, Path(description="Código da avaliação"), AfterValidator(str.lower)]


async def evaluate(
    request: Request,
    sent: requests.ApplicantBody,
    idempotency_key: requests.KeyHeader = None,
    prefer: requests.PreferHeader = None,
) -> Response:
    """Avalia um cliente, registra a decisão e responde com ela."""
    applicant = requests.applicant_of(sent)
    # Each may have come more than once, which costs a look only where it has come at all.
    keys = [] if idempotency_key is None else request.headers.getlist("idempotency-key")
    caller = label_of(request.scope)
    key = requests.read_key(keys, applicant, caller)
    may_wait = prefer is not None and requests.prefers_async(request.headers.getlist("prefer"))
    receipt = await services_of(request).evaluator.evaluate(
        applicant, key, may_wait=may_wait, made_by=caller
    )
    if receipt.answer is None:
        told = {"Location": f"/avaliacoes/{receipt.id}", **_AWAITED}
        return Response(answers.pending(receipt.id), HTTPStatus.ACCEPTED, told, JSON)
    return Response(receipt.answer, media_type=JSON)


@evaluations.get(
    "/avaliacoes",
    operation_id="listar_avaliacoes",
    responses=described(errors.UnknownPlaceError),
    dependencies=[Depends(no_store)],
)
async def search(
    request: Request,
    services: Needed,
    asking: Asking,
    query: Annotated[requests.SearchQuery, Query()],
) -> contract.Pagina:
    """Lista as avaliações, da última registrada à primeira, uma página por vez.

    Com `depois_de`, na ordem em que foram registradas: quem guarda
    o `proximo` de cada página e continua dele lê todas, cada uma uma vez. De um lugar que este
    registro nunca deu não se continua (422): voltou a uma cópia anterior, ou é outro. Uma pendente
    vem como está; a decisão dela aparece depois em seu endereço.
    """
    return await _page(request, services, asking, query)


@evaluations.post(
    "/avaliacoes/busca",
    operation_id="buscar_avaliacoes",
    responses=described(*problems.OF_A_BODY, errors.UnknownPlaceError),
    dependencies=[Depends(no_store)],
)
async def search_by_body(
    request: Request, services: Needed, asking: Asking, sent: requests.SearchBody
) -> contract.Pagina:
    """Lista as avaliações que um corpo pede, como GET /avaliacoes.

    Assim nenhum nome fica no endereço, que intermediários registram.
    """
    return await _page(request, services, asking, sent)


async def _page(
    request: Request, services: Services, asking: Identity, query: requests.SearchQuery
) -> contract.Pagina:
    wanted = requests.search_of(query)
    # One more, to know whether there is a next page.
    sought = replace(wanted, limit=wanted.limit + 1)
    found = await while_asked(request, services.searches.search(sought))
    if found or wanted.after is None:  # whoever waits for what comes next has read nothing
        told_by = sorted(query.model_fields_set - {"limite"})
        services.journal.note(asking, "search", by=told_by, found=min(len(found), wanted.limit))
    return answers.page(found, wanted, services.policy)


@evaluations.get(
    "/avaliacoes/{evaluation_id}",
    operation_id="mostrar_avaliacao",
    response_model=contract.Registro,
    responses=_ONE | _FOUND,
)
async def find(services: Needed, asking: Asking, evaluation_id: EvaluationId) -> Response:
    """Mostra uma avaliação com suas revisões.

    De uma pendente, o cabeçalho Retry-After diz quando olhar de novo.
    """
    found = await _shown(services, asking, evaluation_id)
    headers = NO_STORE | _LOOK_AGAIN if found.pending else NO_STORE
    return Response(answers.recorded(found), headers=headers, media_type=JSON)


async def _shown(services: Services, asking: Identity, evaluation_id: str) -> Recorded:
    """Return an evaluation; to who reads no others, one of their own."""
    found = await services.executor.run_read(services.evaluations.find, evaluation_id)
    if asking.roles.isdisjoint(READING) and found.made_by != asking.label:
        raise errors.EvaluationNotFoundError(evaluation_id)
    is_its_maker = asking.label is not None and found.made_by == asking.label
    if not is_its_maker and not found.pending:  # whoever made it waits for it
        services.journal.note(asking, "read", evaluation=evaluation_id)
    return found


@evaluations.post(
    "/avaliacoes/{evaluation_id}/revisao",
    operation_id="revisar_avaliacao",
    status_code=HTTPStatus.CREATED,
    responses=_REVIEWED,
)
async def review(
    services: Needed,
    asking: Asking,
    evaluation_id: EvaluationId,
    sent: requests.ReviewBody,
    keys: requests.Keys,
) -> contract.Revisao:
    """Acrescenta a decisão de uma pessoa; a do sistema permanece.

    `motivo` diz por quê em um código, para que se contem as decisões mudadas. Quem se identificou
    revisa com o próprio nome. Quem manda `revisoes_vistas` não revisa sem saber de outra revisão:
    se há uma que não viu, recebe 409 com todas, e nada é registrado.
    """
    made = requests.review_of(sent, new_id(), evaluation_id, asking.name)
    key = requests.read_key(keys, (evaluation_id, sent), asking.label)
    may_review_all = services.policy.allows_own_reviews or not asking.label
    add = partial(
        services.evaluations.review,
        key=key,
        seen=sent.revisoes_vistas,
        not_made_by=None if may_review_all else asking,
        noted=chain.by_known(asking, "review", review=made.id, evaluation=evaluation_id),
    )
    kept = await services.executor.run_write(add, made)
    if kept.id == made.id:
        count_review(kept)
    return answers.review(kept)


@evaluations.get(
    "/avaliacoes/{evaluation_id}/dossie",
    operation_id="mostrar_dossie",
    response_class=HTMLResponse,
    responses=_ONE,
)
async def show_dossier(services: Needed, asking: Asking, evaluation_id: EvaluationId) -> Response:
    """Mostra, para imprimir, tudo o que explica uma avaliação."""
    found = await _shown(services, asking, evaluation_id)
    version = found.policy_version or services.policy.version
    source = await services.executor.run_read(services.policies.text, version)
    policy = services.policy if source is None else policy_file.parse(source)
    return HTMLResponse(dossier.render(found, policy), headers=NO_STORE)


@criteria.get(
    "/politica", operation_id="mostrar_politica", responses=described(errors.PolicyNotFoundError)
)
async def show_criteria(services: Needed, versao: PolicyVersionQuery = None) -> contract.Politica:
    """Mostra os critérios em vigor, a quem quiser conhecê-los, como pede o artigo 20 da LGPD.

    Com `versao`, os de uma política que já decidiu neste registro.
    """
    used = await services.executor.run_read(services.policies.used)
    if versao is None or versao == services.policy.version:
        return disclosure.criteria(services.policy, services.model.model, used)
    source = await services.executor.run_read(services.policies.text, versao)
    if source is None:
        raise errors.PolicyNotFoundError(versao)
    return disclosure.criteria(policy_file.parse(source), versions=used)


@criteria.get(
    "/modelo",
    operation_id="mostrar_modelo",
    responses=described(errors.ModelError, errors.ModelNotMetError),
)
async def show_model(services: Needed, versao: ModelTagQuery = None) -> contract.Modelo:
    """Mostra o modelo em serviço e os centros dos cinco perfis.

    Com `versao`, um modelo que já respondeu a este registro, como estava então.
    """
    if versao is None:
        return disclosure.geometry(services.model.geometry or await services.model.look())
    met = await services.executor.run_read(services.models.find, versao)
    if met is None:
        raise errors.ModelNotMetError(versao)
    return disclosure.geometry(met)


@probes.get("/health/ready", operation_id="verificar_prontidao", responses=_UNHEALTHY)
@probes.get("/health", operation_id="verificar_saude", responses=_UNHEALTHY)
async def ready(request: Request, services: Needed, response: Response) -> contract.Saude:
    """Diz se o serviço pode receber pedidos, e qual parte não está bem.

    Sem o modelo o serviço continua pronto, em situação degradada: os pedidos ficam pendentes.
    """
    places = "esgotados" if request.app.state.limit.is_reached else "ok"
    health = await _health(services, places)
    if health.situacao == "indisponivel":
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return health


@probes.get("/health/live", operation_id="verificar_vida")
async def live() -> contract.Vida:
    """Diz que o processo está vivo, e nada mais."""
    return contract.Vida()


@probes.get("/metrics", include_in_schema=False)
async def metrics(services: Needed) -> Response:
    """Return the Prometheus metrics of this process."""
    _WAITING.set(services.pending.waiting)
    _MODEL_AWAY.set(services.model.is_away)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _health(services: Services, places: str) -> contract.Saude:
    """Ask nobody about the record: what is known of it is a second old at most."""
    database = "indisponivel" if services.executor.outage.is_now else "ok"
    model = "ok" if await _is_there(services.model) else "indisponivel"
    worst = "ok" if model == "ok" else "degradada"
    situation = worst if database == places == "ok" else "indisponivel"
    return contract.Saude(
        situation,
        contract.Partes(database, model, places),
        disclosure.warnings(services.policy, services.model.model),
    )


async def _is_there(model: ModelClient) -> bool:
    """Look; of a model that says nothing for a while, tell what is known from before."""
    with suppress(errors.EvaluationError, TimeoutError):
        async with asyncio.timeout(_MODEL_LOOK_SECONDS):
            await model.look()
    return model.model is not None and not model.is_away

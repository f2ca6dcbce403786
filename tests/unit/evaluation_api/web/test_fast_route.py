"""The fast path: what it must not be given, since it would pass it by, and that it agrees."""

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from types import SimpleNamespace

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import iter_route_contexts

from evaluation_api.app import create_fastapi_app
from evaluation_api.decision.domain import Applicant, IdempotencyKey
from evaluation_api.decision.evaluation import Receipt
from evaluation_api.web.api_route import FastRoute
from tests.clients import BAD_REQUESTS, MARIA


def skipped_dependencies(app: FastAPI) -> list[object]:
    return [
        dependency.call
        for context in iter_route_contexts(app.routes)
        if isinstance(context.original_route, FastRoute)
        for dependency in context.dependant.dependencies
    ]


async def access() -> None: ...


async def endpoint() -> None: ...


ACCESS = [Depends(access)]


def app_of(router: APIRouter) -> FastAPI:
    app = FastAPI()
    app.include_router(router)
    return app


def on_the_route() -> FastAPI:
    router = APIRouter(route_class=FastRoute)
    router.add_api_route("/avaliar", endpoint, dependencies=ACCESS)
    return app_of(router)


def on_the_router() -> FastAPI:
    router = APIRouter(route_class=FastRoute, dependencies=ACCESS)
    router.add_api_route("/avaliar", endpoint)
    return app_of(router)


def on_the_application() -> FastAPI:
    router = APIRouter(route_class=FastRoute)
    router.add_api_route("/avaliar", endpoint)
    app = FastAPI(dependencies=ACCESS)
    app.include_router(router)
    return app


def test_no_dependency_is_passed_by() -> None:
    app = create_fastapi_app()

    fast = [
        one.path
        for one in iter_route_contexts(app.routes)
        if isinstance(one.original_route, FastRoute)
    ]
    assert fast == ["/avaliar"]
    assert not skipped_dependencies(app)


@pytest.mark.parametrize("made", [on_the_route, on_the_router, on_the_application])
def test_a_dependency_would_be_found_wherever_it_is_added(made: Callable[[], FastAPI]) -> None:
    assert skipped_dependencies(made()) == [access]


class Evaluates:
    """An evaluator that says what it was asked; or that it waits, to who may."""

    async def evaluate(
        self,
        applicant: Applicant,
        key: IdempotencyKey | None,
        *,
        may_wait: bool,
        made_by: str | None,
    ) -> Receipt:
        told = json.dumps([str(applicant), str(key), made_by])
        return Receipt("1", None if may_wait else told)


APPS = [create_fastapi_app(), create_fastapi_app(fast_path=False)]
for one in APPS:
    one.state.services = SimpleNamespace(evaluator=Evaluates())
HEADERS = [{}, {"Prefer": "respond-async"}, {"Idempotency-Key": "a"}, {"Idempotency-Key": "a b"}]


@pytest.mark.parametrize("headers", HEADERS)
@pytest.mark.parametrize(
    "body", [json.dumps(MARIA).encode(), *(b.body for b in BAD_REQUESTS.values())]
)
def test_the_fast_path_answers_as_the_way_through_fastapi(
    body: bytes, headers: dict[str, str]
) -> None:
    async def ask(app: FastAPI) -> tuple[object, ...]:
        transport = httpx.ASGITransport(app)
        sent = {"X-Request-ID": "1", "Content-Type": "application/json", **headers}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.post("/avaliar", content=body, headers=sent)
        return answer.status_code, answer.content, answer.headers

    fast, slow = (asyncio.run(ask(app)) for app in APPS)

    assert fast == slow
    assert fast[0] != HTTPStatus.INTERNAL_SERVER_ERROR

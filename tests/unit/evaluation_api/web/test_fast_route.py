"""What a route that reads by itself must not be given, since it would pass it by."""

from collections.abc import Callable

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import iter_route_contexts

from evaluation_api.app import create_fastapi_app
from evaluation_api.web.fast_route import FastRoute


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

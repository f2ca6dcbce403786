"""Plain routes beside /predict: which model serves, and predictions of any version in the store.

The latter replay what an earlier model said; they are rare, and take no part in batches.
"""

from functools import lru_cache
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from model_store import registry
from model_store.errors import InvalidTag, ModelNotFound, ModelStoreError
from model_store.features import FEATURES
from model_store.serving import answers, predictor, requests


def create_app(tag: str) -> Starlette:
    """Make the application beside the API of the model with this tag; it knows no other path."""

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "model": tag})

    async def describe(_: Request) -> JSONResponse:
        return JSONResponse(await run_in_threadpool(_description, tag))

    app = Starlette(
        routes=[
            Route("/health", health),
            Route("/model", describe),
            Route("/models/{tag}/predict", predict_as, methods=["POST"]),
        ],
        exception_handlers={HTTPException: _refuse},
    )
    app.router.redirect_slashes = False  # it would redirect to whatever host was asked for
    return app


async def _refuse(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)  # noqa: S101 - what it is installed for
    status = HTTPStatus(exc.status_code)
    refusal = answers.problem(status, status.description)
    refusal.headers.update(exc.headers or {})
    return refusal


@lru_cache(maxsize=1)
def _description(tag: str) -> dict[str, object]:
    model = registry.load(tag)
    return {
        "tag": model.tag,
        "sha256": model.sha256,
        "features": FEATURES,
        "centroids": None if model.centroids is None else model.centroids.tolist(),
        "cluster_sizes": model.metadata.get("cluster_sizes"),
        "promise": model.promise,
    }


async def predict_as(request: Request) -> Response:
    """Predict with the version in the path; 404 without it in the store, 500 if it is corrupt."""
    try:
        asked = await requests.read(request)
        model = await run_in_threadpool(_version, request.path_params["tag"])
    except requests.UnreadableRequestError as exc:
        return answers.problem(exc.status, str(exc))
    except (InvalidTag, ModelNotFound) as exc:
        return answers.problem(HTTPStatus.NOT_FOUND, str(exc))
    except ModelStoreError as exc:
        return answers.problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(exc))
    predictions = await run_in_threadpool(model.predict, asked.matrix)
    return answers.written(predictions, answers.headers_of(model.stored), single=asked.single)


@lru_cache(maxsize=8)
def _version(tag: str) -> predictor.ServedModel:
    return predictor.serve(registry.load(tag))

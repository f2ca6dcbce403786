"""Plain routes beside /predict: which model serves, and predictions of any published version.

The latter replay what an earlier model said; they are rare, and take no part in batches.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from model_store import publications, registry
from model_store.errors import InvalidTag, ModelNotFound, ModelStoreError
from model_store.features import FEATURES
from model_store.ledger import Ledger
from model_store.serving import answers, predictor, requests
from model_store.serving.live import LiveModel, Serving


def create_app(live: LiveModel, ledger: Ledger | None = None) -> Starlette:
    """Make the application beside the API of the model that serves; it knows no other path."""
    open_once = lru_cache(maxsize=8)(partial(_version, ledger or Ledger()))

    async def health(_: Request) -> JSONResponse:
        choice = live.now.choice
        told = {"status": "ok", "model": choice.told_tag, "published": choice.entry is not None}
        return JSONResponse(told | ({"refused": live.refusal} if live.refusal else {}))

    async def describe(_: Request) -> JSONResponse:
        return JSONResponse(_description(live.now))

    async def predict_as(request: Request) -> Response:
        return await _predict_as(request, open_once)

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


def _description(serving: Serving) -> dict[str, object]:
    model, choice = serving.model.stored, serving.choice
    return {
        "tag": choice.told_tag,
        "sha256": model.sha256,
        "digest": model.digest,
        "published": choice.entry and choice.entry.as_json(),
        "features": FEATURES,
        "centroids": None if model.centroids is None else model.centroids.tolist(),
        "cluster_sizes": model.metadata.get("cluster_sizes"),
        "promise": model.promise,
        "card": publications.card(model, choice.entry),
    }


async def _predict_as(request: Request, open_: Callable[[str], predictor.ServedModel]) -> Response:
    """Predict with the version in the path; 404 if it was never published, 500 if it is corrupt."""
    try:
        asked = await requests.read(request)
        model = await run_in_threadpool(open_, request.path_params["tag"])
    except requests.UnreadableRequestError as exc:
        return answers.problem(exc.status, str(exc))
    except (InvalidTag, ModelNotFound) as exc:
        return answers.problem(HTTPStatus.NOT_FOUND, str(exc))
    except ModelStoreError as exc:
        return answers.problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(exc))
    told = (
        await run_in_threadpool(model.predict, asked.matrix)
        if model.is_slow
        else model.predict(asked.matrix)
    )
    return answers.written(told, asked, answers.headers_of(model.stored, model.stored.tag))


def _version(ledger: Ledger, tag: str) -> predictor.ServedModel:
    """Open a version that was published once; nobody else's pickle is worth a worker's memory."""
    pin = ledger.history().pins.get(registry.explicit(tag))
    if pin is None:
        raise ModelNotFound(f"{tag} was never published.")
    return predictor.serve(publications.pinned(pin, ledger))

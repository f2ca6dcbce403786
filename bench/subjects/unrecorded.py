"""The evaluation service's own /avaliar with no record: what the record costs is the difference.

`python -m bench.subjects.unrecorded PORT`. Reads, checks, decides, encodes and observes as the
real one does; the entry is kept by nobody. Without EVALUATION_MODEL_URL there is no model either,
and the prediction is there at once: the ceiling, since no system that asks a model and writes can
be faster.
"""

import itertools
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from types import SimpleNamespace

from fastapi import FastAPI

from deploy.ports import HOST
from evaluation_api.app import create_fastapi_app, model_for
from evaluation_api.decision import policy_file
from evaluation_api.decision.domain import (
    FEATURES,
    Counterfactual,
    Entry,
    FirstUse,
    Model,
    Prediction,
)
from evaluation_api.decision.evaluation import Evaluator, Predictor
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.runtime import logs, server
from evaluation_api.runtime.identity import new_id, now
from evaluation_api.runtime.load_shedding import ConcurrencyLimit
from evaluation_api.settings import Settings
from evaluation_api.web import answers, problems

_MODEL = Model("credit_card_clusters:none", "0" * 64)
_CONTRIBUTIONS = dict(zip(FEATURES, (-0.0312, 0.2145, 0.1071, 0.0542, -0.0119), strict=True))
_COUNTERFACTUALS = (
    Counterfactual("balance", 406.5, 3, 0.06),
    Counterfactual("payments", 2811.25, 1, 0.07),
)
_ANSWERS = ((0, 3, _COUNTERFACTUALS), (1, 3, ()), (2, 0, _COUNTERFACTUALS), (3, 0, ()), (4, 1, ()))
"""Label, the next one, and counterfactuals where the label alone is not approved."""


class CannedPredictor:
    """Predicts the five profiles in turn, with reasons, and counterfactuals where they are due."""

    _next = itertools.cycle(
        Prediction(cluster, _MODEL, runner_up, 0.31, _CONTRIBUTIONS, counterfactuals)
        for cluster, runner_up, counterfactuals in _ANSWERS
    )

    async def predict(self, usage: object) -> Prediction:  # noqa: ARG002 - canned
        """Return the next prediction."""
        return next(self._next)


class NoRecord:
    """Keeps nothing."""

    async def append(self, entry: Entry) -> FirstUse | None:  # noqa: ARG002 - kept by nobody
        """Say that the entry is new."""
        return None

    async def find_by_key(self, key: str) -> FirstUse | None:  # noqa: ARG002 - kept by nobody
        """Say that the key is new."""
        return None


def _model(policy: AnyPolicy) -> AbstractAsyncContextManager[Predictor]:
    if "EVALUATION_MODEL_URL" in os.environ:
        return model_for(policy, Settings())
    return nullcontext(CannedPredictor())


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Wire the parts, and tune the garbage collector as the real service does."""
    policy, _ = policy_file.read(policy_file.DEFAULT)
    async with _model(policy) as model:
        evaluator = Evaluator(model, policy, NoRecord(), answers.answer, new_id=new_id, now=now)
        app.state.services = SimpleNamespace(evaluator=evaluator)
        server.spare_the_garbage_collector()
        yield


if __name__ == "__main__":
    logs.configure("INFO", "text")
    limit = ConcurrencyLimit(Settings().max_in_flight)
    app = create_fastapi_app(lifespan)
    server.serve(app, HOST, int(sys.argv[1]), limit=limit, refusal=problems.refusal)

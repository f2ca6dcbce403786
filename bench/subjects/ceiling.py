"""The ceiling: the evaluation service's own /avaliar with no model behind it and no record.

Reads, checks, decides, encodes and observes as the real one does; only the prediction is there at
once, and the entry is kept by nobody. No system that asks a model and writes can be faster.
"""

import itertools
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import SimpleNamespace

from fastapi import FastAPI

from deploy.ports import HOST
from evaluation_api.app import create_fastapi_app
from evaluation_api.decision import policy_file
from evaluation_api.decision.domain import (
    CardUsage,
    Counterfactual,
    Entry,
    FirstUse,
    Model,
    Prediction,
)
from evaluation_api.decision.evaluation import Evaluator
from evaluation_api.runtime import logs, server
from evaluation_api.runtime.identity import new_id, now
from evaluation_api.settings import Settings
from evaluation_api.web import answers, problems

_MODEL = Model("credit_card_clusters:none", "0" * 64)
_CONTRIBUTIONS = {
    "balance": -0.0312,
    "purchases": 0.2145,
    "cash_advance": 0.1071,
    "credit_limit": 0.0542,
    "payments": -0.0119,
}
_COUNTERFACTUALS = (
    Counterfactual("balance", 406.5, 3, 0.06),
    Counterfactual("payments", 2811.25, 1, 0.07),
)
_NEIGHBOURS = {0: 3, 1: 3, 2: 0, 3: 0, 4: 1}


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
"""Wires what the routes need, and takes it apart."""


class CannedPredictor:
    """Gives the five profiles in turn, with reasons; those not approved with ways out."""

    def __init__(self) -> None:
        """Prepare the five predictions."""
        self._next = itertools.cycle(
            Prediction(
                cluster,
                _MODEL,
                runner_up,
                0.31,
                _CONTRIBUTIONS,
                _COUNTERFACTUALS if cluster in {0, 2} else (),
            )
            for cluster, runner_up in _NEIGHBOURS.items()
        )

    async def predict(self, usage: CardUsage) -> Prediction:  # noqa: ARG002 - canned
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


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Wire the canned parts, and tune the garbage collector as the real service does."""
    policy, _ = policy_file.read(policy_file.DEFAULT)
    evaluator = Evaluator(
        CannedPredictor(),
        policy,
        NoRecord(),
        partial(answers.answer, policy=policy),
        new_id=new_id,
        now=now,
    )
    app.state.services = SimpleNamespace(evaluator=evaluator)
    server.spare_the_garbage_collector()
    yield


def serve(port: int, lifespan: Lifespan = lifespan) -> None:
    """Serve the routes with these parts as evaluation_api.commands serves the real ones."""
    logs.configure("INFO", "text")
    app = create_fastapi_app(lifespan)
    limit = Settings().max_in_flight
    server.serve(app, HOST, port, max_in_flight=limit, overload_answer=problems.overload_answer)


if __name__ == "__main__":
    serve(int(sys.argv[1]))

"""The evaluation service with its model and no record: what the record costs is the difference."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

from fastapi import FastAPI

from bench.ceiling import NoRecord
from bench.processes import HOST
from evaluation_api import logs, policy_file, problems, server
from evaluation_api.app import bare_app, model_for, rendered_with
from evaluation_api.evaluation import Evaluator
from evaluation_api.settings import Settings


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Wire the real model and no record."""
    policy, _ = policy_file.read(policy_file.DEFAULT)
    async with model_for(policy, Settings()) as model:
        evaluator = Evaluator(model, policy, NoRecord(), rendered_with(policy))
        app.state.services = SimpleNamespace(evaluator=evaluator)
        server.spare_the_garbage_collector()
        yield


def serve(port: int) -> None:
    """Serve as evaluation_api.commands does."""
    logs.configure("INFO", "text")
    app = bare_app()
    app.router.lifespan_context = lifespan
    limit = Settings().max_in_flight
    server.serve(app, HOST, port, max_in_flight=limit, refusal=problems.turn_away)


if __name__ == "__main__":
    serve(int(sys.argv[1]))

"""The evaluation service with its model and no record: what the record costs is the difference."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace

from fastapi import FastAPI

from bench.subjects import ceiling
from bench.subjects.ceiling import NoRecord
from evaluation_api.app import model_for
from evaluation_api.decision import policy_file
from evaluation_api.decision.evaluation import Evaluator
from evaluation_api.runtime import server
from evaluation_api.runtime.identity import new_id, now
from evaluation_api.settings import Settings
from evaluation_api.web import answers


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Wire the real model and no record."""
    policy, _ = policy_file.read(policy_file.DEFAULT)
    async with model_for(policy, Settings()) as model:
        evaluator = Evaluator(
            model,
            policy,
            NoRecord(),
            partial(answers.answer, policy=policy),
            new_id=new_id,
            now=now,
        )
        app.state.services = SimpleNamespace(evaluator=evaluator)
        server.spare_the_garbage_collector()
        yield


if __name__ == "__main__":
    ceiling.serve(int(sys.argv[1]), lifespan)

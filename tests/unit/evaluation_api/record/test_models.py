"""Every model that was met is remembered as it was, and told of once."""

import asyncio
from dataclasses import replace

from sqlalchemy import Engine

from evaluation_api.decision.domain import FEATURES, Approval, Bound, Geometry, Model, ModelCard
from evaluation_api.decision.errors import ModelUnavailableError
from evaluation_api.record.executor import RecordExecutor
from evaluation_api.record.models import ModelLog, ModelWatch
from tests.evaluations import MODEL

MET = Geometry(MODEL, FEATURES, ((0.1, 0.2, 0.3, 0.4, 0.5),) * 5, (1, 2, 3, 4, 5))
CARD = ModelCard(
    {"sha256": "d" * 64},
    {"silhouette": 0.411},
    {"least": 0.97},
    (Bound("lead of label 0 in balance", 0.5, at_least=0.15), Bound("move", 0.1, at_most=0.15)),
    Approval("ana", "2026-11-26T12:00:00Z", "the first"),
)
OTHER = replace(MET, model=Model("credit_card_clusters:fedcba987654", "f" * 64), centroids=None)


def test_a_model_is_remembered_once_as_it_was_when_it_was_met(engine: Engine) -> None:
    log = ModelLog(engine)
    for met in (MET, replace(MET, sizes=None), OTHER):
        log.remember(met)

    assert log.find(MODEL.tag) == MET
    assert log.find(OTHER.model.tag) == OTHER
    assert log.find("credit_card_clusters:000000000000") is None


def test_a_model_that_was_tried_before_it_was_published_is_found_by_either_name(
    engine: Engine,
) -> None:
    log, tried = ModelLog(engine), f"{MODEL.tag} (not published)"
    log.remember(replace(MET, model=Model(tried, MODEL.sha256)))
    log.remember(MET)

    for tag in (tried, MODEL.tag):
        found = log.find(tag)
        assert found
        assert found.centroids == MET.centroids


def test_a_model_is_remembered_with_its_card(engine: Engine) -> None:
    log, carded = ModelLog(engine), replace(MET, card=CARD)
    log.remember(carded)

    assert log.find(MODEL.tag) == carded


class Service:
    """A model service that is away at first, and changes its model later."""

    def __init__(self) -> None:
        self.described = MET
        self.is_away = True

    async def ensure_available(self) -> None:
        """Be back, for the next who asks."""
        if self.is_away:
            self.is_away = False
            raise ModelUnavailableError

    async def look(self) -> Geometry:
        return self.described


def test_each_model_is_told_of_once_whatever_fails_meanwhile(engine: Engine) -> None:
    service, log, told = Service(), ModelLog(engine), list[Model]()

    async def scenario() -> None:
        met = asyncio.Semaphore(0)

        def on_met(model: Model) -> None:
            told.append(model)
            met.release()

        async with RecordExecutor() as executor, asyncio.timeout(10):
            watch = ModelWatch(service, log, executor, on_met, tick_seconds=0.001)
            looking = asyncio.create_task(watch.run())
            for described in (MET, OTHER):
                service.described = described
                await met.acquire()
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    asyncio.run(scenario())

    assert told == [MET.model, OTHER.model]
    assert log.find(OTHER.model.tag) == OTHER

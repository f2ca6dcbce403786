"""Evaluates one chunk: reads its lines, predicts them in one call, decides each.

Works in slices, so that whoever shares the event loop gets in between.
Knows neither where chunks come from nor where decisions go.
"""

import time
from datetime import UTC, datetime
from functools import lru_cache

from evaluation_api.client_files import lines, slices
from evaluation_api.client_files.domain import (
    CONFIDENCE_BINS,
    Chunk,
    Counts,
    EvaluatedChunk,
    Fault,
    RowResult,
    no_counts,
)
from evaluation_api.decision.domain import Applicant, Evaluation, Prediction
from evaluation_api.decision.evaluation import BulkPredictor
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.runtime.identity import new_id

_reader = lru_cache(maxsize=16)(lines.reader)


async def evaluate(chunk: Chunk, predictor: BulkPredictor, policy: AnyPolicy) -> EvaluatedChunk:
    """Evaluate every line that can be read. Raises ModelError, after which nothing is decided."""
    started = time.perf_counter()
    read = await slices.mapped(_reader(chunk.dialect), chunk.lines)
    usages = [one.usage for one in read if isinstance(one, Applicant)]
    predictions = await predictor.predict_many(usages) if usages else []
    decided = await _decided(read, predictions, policy, started)
    return EvaluatedChunk(chunk, decided, _row_results(read, decided), _counts(read, decided))


async def _decided(
    read: list[Applicant | Fault], predictions: list[Prediction], policy: AnyPolicy, started: float
) -> list[Evaluation]:
    now = datetime.now(UTC)
    milliseconds = (time.perf_counter() - started) * 1000

    def decide(applicant: Applicant, prediction: Prediction) -> Evaluation:
        decision = policy.decide(applicant.usage, prediction)
        identity = new_id()
        return Evaluation(identity, applicant, prediction, decision, now, milliseconds)

    applicants = [one for one in read if isinstance(one, Applicant)]
    return await slices.mapped(decide, applicants, predictions)


def _row_results(read: list[Applicant | Fault], decided: list[Evaluation]) -> list[RowResult]:
    ids = iter(decided)
    return [next(ids).id if isinstance(one, Applicant) else one for one in read]


def _counts(read: list[Applicant | Fault], decided: list[Evaluation]) -> Counts:
    counts = no_counts()
    counts.faults = len(read) - len(decided)
    for evaluation in decided:
        outcome, prediction = evaluation.decision.outcome.value, evaluation.prediction
        counts.outcomes[outcome] = counts.outcomes.get(outcome, 0) + 1
        counts.clusters[prediction.cluster] += 1
        if prediction.confidence is not None:
            place = min(int(prediction.confidence * CONFIDENCE_BINS), CONFIDENCE_BINS - 1)
            counts.confidence[place] += 1
    return counts

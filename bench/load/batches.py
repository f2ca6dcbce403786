"""Whether batches form: BentoML's own metric of its adaptive batching.

`bentoml_service_adaptive_batch_size` counts requests a batch, not rows: one evaluation process
merges what waits into one request, so that only several of them can make batches of more than one.
"""

import urllib.request
from collections import defaultdict
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from deploy.ports import HOST

_NAME = "bentoml_service_adaptive_batch_size"


@dataclass(frozen=True)
class Batches:
    """Since the service started. share_of_several: the part that held two requests or more."""

    count: int
    mean_requests: float
    share_of_several: float
    largest_at_most: float


def ask(port: int) -> Batches:
    """Read the metric from a model service."""
    with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=10) as response:
        return read(response.read().decode())


def read(exposition: str) -> Batches:
    """Read the histogram in Prometheus's text, its workers' series added up."""
    summed: dict[str, float] = defaultdict(float)
    up_to: dict[float, float] = defaultdict(float)
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples if family.name == _NAME else ():
            summed[sample.name] += sample.value
            if "le" in sample.labels:
                up_to[float(sample.labels["le"])] += sample.value
    total = summed[f"{_NAME}_count"]
    return Batches(
        count=int(total),
        mean_requests=summed[f"{_NAME}_sum"] / total if total else 0.0,
        share_of_several=1 - up_to[1.0] / total if total else 0.0,
        largest_at_most=min((bound for bound in up_to if up_to[bound] >= total), default=0.0),
    )

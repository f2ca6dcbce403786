"""Whether batches form: BentoML's own metric of its adaptive batching.

`bentoml_service_adaptive_batch_size` counts requests a batch, not rows: one evaluation process
merges what waits into one request, so that only several of them can make batches of more than one.
"""

import urllib.request
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from deploy.ports import HOST

_NAME = "bentoml_service_adaptive_batch_size"


@dataclass(frozen=True)
class Batches:
    """count: batches since the service started. of_several: those of two requests or more."""

    count: int
    mean_requests: float
    of_several: int
    largest_at_most: float

    @property
    def share_of_several(self) -> float:
        """What part of the batches held more than one request."""
        return self.of_several / self.count if self.count else 0.0


def ask(port: int) -> Batches:
    """Read the metric from a model service."""
    with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=10) as response:
        return read(response.read().decode())


def read(exposition: str) -> Batches:
    """Find the histogram in Prometheus's text; none means that nothing was batched yet."""
    for family in text_string_to_metric_families(exposition):
        if family.name == _NAME:
            return _of_histogram(family)
    return Batches(0, 0.0, 0, 0.0)


def _of_histogram(family: Metric) -> Batches:
    """Add up the workers' series, whatever else labels them."""
    total = 0.0
    requests = 0.0
    up_to: dict[float, float] = {}
    for sample in family.samples:
        if sample.name.endswith("_bucket"):
            bound = float(sample.labels["le"])
            up_to[bound] = up_to.get(bound, 0.0) + sample.value
        elif sample.name.endswith("_count"):
            total += sample.value
        elif sample.name.endswith("_sum"):
            requests += sample.value
    full = [bound for bound, value in up_to.items() if value >= total]
    return Batches(
        count=int(total),
        mean_requests=requests / total if total else 0.0,
        of_several=int(total - up_to.get(1.0, total)),
        largest_at_most=min(full, default=0.0),
    )

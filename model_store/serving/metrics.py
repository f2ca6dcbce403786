"""What Prometheus is told of the model that serves, beside what BentoML counts of requests.

The newest word of any worker counts: each says it once a second.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from model_store.publications import Choice

if TYPE_CHECKING:
    from prometheus_client import Gauge

SERVING: Final = "credit_card_model_serving"
PUBLISHED: Final = "credit_card_model_published"
REFUSED: Final = "credit_card_model_refused"


class ModelMetrics:
    """Tells of one process. Gauges are made late: BentoML says late where they are kept."""

    def __init__(self) -> None:
        self._told: str | None = None

    def tell(self, choice: Choice, *, refused: bool) -> None:
        """Say which version serves, whether it is published, and whether a newer one fails."""
        serving, published, refusing = _gauges()
        if self._told not in {None, choice.told_tag}:
            serving.labels(self._told).set(0)
        serving.labels(choice.told_tag).set(1)
        published.set(choice.entry is not None)
        refusing.set(refused)
        self._told = choice.told_tag


@lru_cache(maxsize=1)
def _gauges() -> "tuple[Gauge, Gauge, Gauge]":
    from prometheus_client import Gauge  # noqa: PLC0415 - see above

    newest: dict[str, Any] = {"multiprocess_mode": "mostrecent"}
    return (
        Gauge(SERVING, "1 for the model version that answers", ["model"], **newest),
        Gauge(PUBLISHED, "0 while what answers is tried and not published", **newest),
        Gauge(REFUSED, "1 while what is published fails, and the one before answers", **newest),
    )

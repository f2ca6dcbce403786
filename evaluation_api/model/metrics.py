"""What Prometheus is told of calls to the model service."""

from typing import Final

from prometheus_client import Counter

FAILED_CALLS: Final = Counter(
    "evaluation_model_failed_calls",
    "Calls of the model service that brought no answer of use, by what went wrong",
    ["error"],
)

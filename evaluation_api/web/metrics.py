"""What Prometheus is told of the model, and of those who wait for it."""

from prometheus_client import Gauge

PENDING = Gauge("evaluation_pending", "Evaluations that wait for the model, as of the last look")
PROMISE_BROKEN = Gauge(
    "evaluation_promise_broken", "1 while the model in service breaks the policy's promise"
)
MODEL_AWAY = Gauge("evaluation_model_away", "1 while the model service does not answer")

"""What Prometheus is told of clients' evaluations."""

from prometheus_client import Counter, Gauge

DECISIONS = Counter("evaluation_decisions", "Decisions taken", ["outcome", "cluster"])
PENDING = Gauge("evaluation_pending", "Evaluations that wait for the model, as of the last look")
MODEL_AWAY = Gauge("evaluation_model_away", "1 while the model service does not answer")

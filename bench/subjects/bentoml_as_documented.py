"""The same pickle behind BentoML as its documentation shows adaptive batching, and nothing tuned.

https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html: a synchronous method,
`batchable=True`, a list of pydantic models; scikit-learn's own predict inside.
"""

import bentoml
import joblib  # noqa: TID251 - our own file, loaded as the documentation has it
from pydantic import BaseModel

from bench.subjects.original import PICKLE


class Usage(BaseModel):
    """Five amounts of card use."""

    balance: float
    purchases: float
    cash_advance: float
    credit_limit: float
    payments: float


@bentoml.service(name="clusters_as_documented")
class Clusters:
    """Predicts profiles."""

    def __init__(self) -> None:
        """Load the pickle."""
        self.model = joblib.load(PICKLE)

    @bentoml.api(batchable=True, max_batch_size=1024, max_latency_ms=2000)  # type: ignore[untyped-decorator]
    def predict(self, clients: list[Usage]) -> list[int]:
        """Predict a list of clients."""
        rows = [
            [one.balance, one.purchases, one.cash_advance, one.credit_limit, one.payments]
            for one in clients
        ]
        return [int(label) for label in self.model.predict(rows)]

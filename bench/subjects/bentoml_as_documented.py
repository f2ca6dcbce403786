"""The same pickle behind BentoML as its documentation shows adaptive batching, and nothing tuned.

https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html: a synchronous method,
`batchable=True`, a list of pydantic models; scikit-learn's own predict inside.
"""

import bentoml
import joblib  # noqa: TID251 - our own file, loaded as the documentation has it

from bench.subjects.original import PICKLE, Uso


@bentoml.service(name="clusters_as_documented")
class Clusters:
    """Predicts profiles."""

    def __init__(self) -> None:
        self.model = joblib.load(PICKLE)

    @bentoml.api(batchable=True, max_batch_size=1024, max_latency_ms=2000)  # type: ignore[untyped-decorator]
    def predict(self, clients: list[Uso]) -> list[int]:
        """Predict a list of clients."""
        return [int(label) for label in self.model.predict([one.linha() for one in clients])]

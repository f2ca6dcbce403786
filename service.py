"""The model service: reads rows, predicts, explains. One Bento, adaptive batching, port 8001.

It knows nothing of decisions, of Portuguese or of who asks. The model is an explicit version in
BentoML's store (model_store/production, or CREDIT_CARD_MODEL_TAG), never "latest".
"""

import os
import sys

import anyio.to_thread
import bentoml

from model_store import registry
from model_store.errors import ModelStoreError
from model_store.geometry import Matrix
from model_store.serving import answers, bentoml_tuning, predictor, routes
from model_store.serving.bentoml_tuning import Clients, PredictFirst, Predictions

try:
    MODEL = registry.load(registry.production_tag())  # BentoML would look for it in a cloud
except ModelStoreError as exc:
    sys.exit(f"The model service cannot start: {exc}")
#: Tracing without an exporter costs 0.5 ms a request, so it waits to be asked for.
UNTRACED = "" if os.environ.get("MODEL_SERVICE_TRACING") == "on" else ".*"

bentoml_tuning.dispatch_at_once()
bentoml_tuning.answer_in_one_piece()


@bentoml.service(
    name="credit_card_clusters",
    workers=int(os.environ.get("MODEL_SERVICE_WORKERS", "1")),
    traffic={"timeout": 5},
    http={"port": 8001},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": UNTRACED},
)
@bentoml.asgi_app(routes.routes(MODEL.tag), path="/")
class CreditCardClusters:
    """Says which of five client profiles a client's card use belongs to, and why."""

    model = bentoml.models.BentoModel(MODEL.tag)

    @bentoml.on_deployment  # type: ignore[untyped-decorator]  # BentoML is not typed
    @staticmethod
    def refuse_to_start_broken() -> None:
        """Check the model once, before there are workers: one that fails is started again."""
        try:
            predictor.of(MODEL)
        except ModelStoreError as exc:
            sys.exit(f"The model service cannot start: {exc}")

    def __init__(self) -> None:
        """Open the model; its golden clients come out as recorded or there is no service."""
        self._predict = predictor.of(MODEL)
        self._is_slow = MODEL.centroids is None
        # Looked up once: BentoML would inspect the method's signature at each request.
        self.predict = self.predict
        bentoml_tuning.spare_the_garbage_collector()

    @bentoml.api(  # type: ignore[untyped-decorator]
        batchable=True,
        max_batch_size=answers.MAX_ROWS,
        max_latency_ms=2000,
        input_spec=Clients,
        output_spec=Predictions,
    )
    async def predict(self, clients: Matrix) -> list[answers.Prediction]:
        """Predict one client or up to 1,024; ?toward=1,3,4&margin=0.05 adds how to get there."""
        if self._is_slow:
            return await anyio.to_thread.run_sync(self._predict, clients)
        return self._predict(clients)


CreditCardClusters.add_asgi_middleware(  # type: ignore[attr-defined]  # by now a bentoml.Service
    PredictFirst, tag=MODEL.tag, sha256=MODEL.sha256
)

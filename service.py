"""The model service: reads clients, predicts, explains. One Bento, adaptive batching, port 8001.

It knows nothing of decisions, of Portuguese or of who asks. The model is an explicit version in
BentoML's store, never "latest": what is published (model_store/production), from the moment it is,
or what CREDIT_CARD_MODEL_TAG tries.
"""

import anyio.to_thread
import bentoml

from model_store.geometry import Matrix
from model_store.serving import (
    admission,
    answers,
    bentoml_tuning,
    live,
    protocol,
    published,
    requests,
    routes,
    settings,
)

MODEL = published.declare()
LIVE = live.LiveModel()
CALLERS = settings.callers()
#: "off" serves as BentoML does by itself, the same answers later: to see what an upgrade broke.
SHORTCUTS = settings.has_shortcuts()
#: One request takes about a millisecond, and none more than traffic.timeout.
DURATIONS = [0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0]


class AdmittedService(bentoml.Service):  # type: ignore[misc]  # BentoML is not typed
    """The service as BentoML makes it, with a layer that comes before BentoML's own."""

    def to_asgi(self, is_main: bool = True) -> admission.Admission:  # noqa: FBT001, FBT002
        """Make the application that each worker serves."""
        protocol.bound_connections()
        bentoml_tuning.describe_problems()
        hosts, plain = settings.allowed_hosts(), routes.create_app(LIVE)
        app = super().to_asgi(is_main)
        bentoml_tuning.trace_nothing(app)
        return admission.Admission(app, plain=plain, hosts=hosts, callers=CALLERS)


@bentoml.service(
    name="credit_card_clusters",
    service_class=AdmittedService,
    workers=settings.workers(),
    traffic={"timeout": 5},
    http={"port": 8001},
    metrics={"duration": {"buckets": DURATIONS}},
    logging={"access": {"enabled": False}},
)
class CreditCardClusters:
    """Says which of five client profiles a client's card use belongs to, and why."""

    model = MODEL

    @bentoml.on_deployment  # type: ignore[untyped-decorator]  # BentoML is not typed
    @staticmethod
    def refuse_to_start_broken() -> None:
        """Open the model once before there are workers: one that fails is started again."""
        settings.name_unknown()
        MODEL.resolve()

    def __init__(self) -> None:
        """Open the model, or there is no service."""
        if SHORTCUTS:
            bentoml_tuning.dispatch_at_once(LIVE)
        published.open_live(LIVE)
        self.predict = self.predict  # once: BentoML would inspect its signature at each request
        bentoml_tuning.spare_the_garbage_collector()
        LIVE.watch()

    def __is_ready__(self) -> bool:
        """Tell whether a few golden clients still come out as recorded."""
        return LIVE.now.model.keeps_its_labels()

    @bentoml.api(  # type: ignore[untyped-decorator]
        batchable=True,
        max_batch_size=requests.MAX_CLIENTS,
        max_latency_ms=2000,
        input_spec=requests.Clients,
        output_spec=answers.Predictions,
    )
    async def predict(self, clients: Matrix) -> Matrix:
        """Predict one client or up to 1,024; ?targets=1,3,4&margin=0.05 adds how to get there.

        Many at once are quickest as columns. With `Content-Type: application/x-npy` the body is a
        NumPy file (.npy, version 1.0) of float64 ('<f8'), by rows or by columns: n x 5, the amounts
        in the order balance, purchases, cash_advance, credit_limit, payments; or n x 13, where the
        least and then the greatest of balance, purchases, cash_advance and payments follow, both
        NaN for an amount that is not to be changed. The answer is another, n x 8: cluster,
        runner_up, confidence, and the contributions in the order of the amounts; with targets
        n x 24, where for balance, purchases, cash_advance and payments there are amount, cluster
        (-1 where no change reaches a target, NaN where none is needed), confidence and until (NaN
        for as far as the limits go). NaN is what the model does not say. Problems are JSON.
        """
        if LIVE.is_slow:
            return await anyio.to_thread.run_sync(LIVE.predict, clients)
        return LIVE.predict(clients)


if SHORTCUTS:
    CreditCardClusters.add_asgi_middleware(bentoml_tuning.FastPath, live=LIVE)  # type: ignore[attr-defined]

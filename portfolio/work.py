"""What a worker does with a file, wired: loaded when the first one comes."""

from functools import cached_property

import httpx

from evaluation_api.client_files.client_file import ClientFile, State
from evaluation_api.decision import policy_file
from evaluation_api.decision.domain import Geometry
from evaluation_api.record.models import ModelLog
from evaluation_api.record.policies import PolicyLog
from evaluation_api.settings import Settings
from model_store import publications
from portfolio import checking, served
from portfolio.deciding import Deciding
from portfolio.recording import Explainer
from portfolio.worker import Worker, WorkerSettings, committed


class Files:
    """Files by the policy that the settings name, and the model that is published."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._leases = worker.leases
        self._opened: tuple[publications.Choice, Explainer] | None = None

    def check(self, file: ClientFile) -> State:
        """Look at a file before anything is decided."""
        return checking.check(self._leases, file, self._worker.between)

    def decide(self, file: ClientFile) -> None:
        """Decide a file from where it is."""
        self._deciding.run(file)

    @cached_property
    def _deciding(self) -> Deciding:
        policy, source = policy_file.read(Settings().policy_path)
        PolicyLog(self._leases.engine).remember(policy.version, source)
        worker = self._worker
        return Deciding(
            self._leases, policy, self._model, worker.between, worker.require_wanted, committed
        )

    def _model(self) -> Explainer:
        """Meet the model that is to decide a file. Raises ModelStoreError or ModelError."""
        return self._stored() if self._http is None else self._served(self._http)

    def _stored(self) -> Explainer:
        """Open the published model, once for each version."""
        choice = publications.choose()
        if self._opened is None or self._opened[0] != choice:
            # A worker that asks the service does without what reads the store.
            from portfolio.profiler import StoredProfiler  # noqa: PLC0415

            profiler = StoredProfiler(publications.load(choice))
            self._remember(profiler.describe())
            self._opened = choice, profiler
        return self._opened[1]

    def _served(self, http: httpx.Client) -> Explainer:
        """Meet what is served: one version for a file, whatever is promoted meanwhile."""
        profiler = served.ServedProfiler(http)
        self._remember(profiler.describe())
        return profiler

    def _remember(self, described: Geometry) -> None:
        ModelLog(self._leases.engine).remember(described)

    @cached_property
    def _http(self) -> httpx.Client | None:
        url, token = WorkerSettings().model_url, Settings().model_token
        return served.connect(url, token.get_secret_value() if token else None) if url else None

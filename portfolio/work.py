"""What a worker does with a file, wired: loaded when the first one comes."""

from functools import cached_property

from evaluation_api.decision import policy_file
from evaluation_api.record.client_file import ClientFile, State
from evaluation_api.record.models import ModelLog
from evaluation_api.record.policies import PolicyLog
from evaluation_api.settings import Settings
from model_store import publications
from portfolio import checking
from portfolio.deciding import Deciding
from portfolio.profiler import StoredProfiler
from portfolio.worker import Worker, committed


class Files:
    """Files by the policy that the settings name, and the model that is published."""

    def __init__(self, worker: Worker) -> None:
        """Take who works."""
        self._worker = worker
        self._leases = worker.leases
        self._opened: tuple[publications.Choice, StoredProfiler] | None = None

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

    def _model(self) -> StoredProfiler:
        """Open the published model, once for each version. Raises ModelStoreError."""
        choice = publications.choose()
        if self._opened is None or self._opened[0] != choice:
            profiler = StoredProfiler(publications.load(choice))
            ModelLog(self._leases.engine).remember(profiler.describe())
            self._opened = choice, profiler
        return self._opened[1]

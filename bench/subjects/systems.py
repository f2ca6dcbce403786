"""What is measured: each system as its users start it, and what it must answer."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from bench.subjects import languages
from bench.subjects.languages import Language
from bench.subjects.original import PICKLE
from deploy import laptop, ports
from deploy.ports import HOST
from deploy.processes import ROOT, Program

PYTHON = sys.executable
SQLITE = "sqlite:///{folder}/evaluations.db"
"""A database URL, with the folder of one system to be put in."""
#: Who asks says who they are, as often as they like; and so does one half to the other.
_IDENTIFIED = {
    "EVALUATION_ACCESS_SECRET": "signs what browsers keep, of which there are none here",
    "EVALUATION_RATE_PER_SECOND": "1000000",
    "MODEL_SERVICE_TOKEN": "names the evaluation service to the model's",
}
MLSERVER = ROOT / "var/bench-mlserver/bin/mlserver"


@dataclass(frozen=True)
class System:
    """Programs in the order of starting, and how to talk to them.

    ports: where requests go, in turn. record: the SQLite file it must write. keyed: whether callers
    send Idempotency-Keys. authorization: by which it knows them, where it has to.
    """

    key: str
    title: str
    programs: Sequence[Program]
    ports: Sequence[int]
    language: Language = languages.ORIGINAL
    record: Path | None = None
    keyed: bool = False
    authorization: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """Return what each request says of its body and of who asks."""
        told = {"Content-Type": self.language.media_type}
        return told | ({"Authorization": self.authorization} if self.authorization else {})

    def varied(self, key: str, title: str, **changes: Any) -> Self:  # noqa: ANN401 - any field
        """Return it with some fields changed, as what is added to its key and title says."""
        return replace(self, key=f"{self.key}-{key}", title=f"{self.title}, {title}", **changes)


Make = Callable[[Path], System]
"""A system with ports and files of its own in a folder."""


def monolith(_: Path) -> System:
    """Return what the system replaces, in one uvicorn process."""
    (port,) = ports.free(1)
    return System("monolith", "monolith", [_uvicorn("monolith", port)], [port])


def monolith_async(folder: Path) -> System:
    """Return the monolith by its route without a thread, which is the stronger one."""
    language = replace(languages.ORIGINAL, path="/avaliar-sem-thread")
    return monolith(folder).varied("async", "async def", language=language)


def split(_: Path) -> System:
    """Return the monolith cut in two and no more."""
    model, front = ports.free(2)
    asking = _uvicorn("split_front", front, {"SPLIT_MODEL_URL": f"http://{HOST}:{model}"})
    return System("split", "naive split", [_uvicorn("monolith", model), asking], [front])


def ceiling(_: Path) -> System:
    """Return our route without model and record."""
    (port,) = ports.free(1)
    return System("ceiling", "ceiling", [_unrecorded(port)], [port], languages.CANNED)


def this_system(folder: Path, root: Path = ROOT, python: str = PYTHON) -> System:
    """Return both services as `make run` starts them, with a store and a record of their own."""
    model, evaluation = ports.free(2)
    record = folder / "evaluations.db"
    environment = {
        "MODEL_PORT": str(model),
        "EVALUATION_PORT": str(evaluation),
        "EVALUATION_DATABASE_URL": f"sqlite:///{record}",
        "BENTOML_HOME": str(folder / "bentoml"),
    }
    ready = [(model, "/readyz"), (evaluation, "/health/ready")]
    program = Program([python, "-m", "deploy.laptop"], ready, environment, root)
    told = (languages.EXPLAINED, record)
    return System("system", "this system", [program], [evaluation], *told)


def checkout(folder: Path, root: Path) -> System:
    """Return what `make run` starts in another checkout, from the environment in its .venv."""
    system = this_system(folder, root, str(root / ".venv/bin/python"))
    return replace(system, key="checkout", title=root.name)


def recorded(key: str, title: str, database_url: str, service: str = ".") -> Make:
    """Return one process of each service, with its record in a database of choice."""

    def make(folder: Path) -> System:
        model, evaluation = ports.free(2)
        programs = [
            model_program(folder, model, service=service),
            evaluation_program(folder, evaluation, model, database_url),
        ]
        return System(key, title, programs, [evaluation])

    return make


def keyed(make: Make) -> Make:
    """Return a system whose callers send an Idempotency-Key with each request."""
    return lambda folder: make(folder).varied("keyed", "with keys", keyed=True)


def with_access(folder: Path) -> System:
    """Return this system where nobody is let in without a key, and its callers have one."""
    one = this_system(folder)
    programs = [replace(p, environment={**p.environment, **_IDENTIFIED}) for p in one.programs]
    bearer = f"Bearer {_access_key(f'sqlite:///{one.record}')}"
    return one.varied("access", "with access keys", programs=programs, authorization=bearer)


def unrecorded(folder: Path) -> System:
    """Return one process of each service, and no record."""
    model, evaluation = ports.free(2)
    asking = _unrecorded(evaluation, {"EVALUATION_MODEL_URL": f"http://{HOST}:{model}"})
    return System("unrecorded", "no record", [model_program(folder, model), asking], [evaluation])


def model_service(workers: int) -> Make:
    """Return the model service alone."""

    def make(folder: Path) -> System:
        (port,) = ports.free(1)
        title = f"this model service, {workers} worker{'' if workers == 1 else 's'}"
        programs = [model_program(folder, port, workers)]
        return System(f"model{workers}", title, programs, [port], languages.PREDICT)

    return make


def by_columns(make: Make) -> Make:
    """Return a model service whose callers send columns."""
    return lambda folder: make(folder).varied("columns", "by columns", language=languages.COLUMNS)


def bentoml_as_documented(folder: Path) -> System:
    """Return the same pickle behind BentoML as its documentation shows it."""
    (port,) = ports.free(1)
    service = "bench.subjects.bentoml_as_documented:Clusters"
    serve = [PYTHON, "-m", "bentoml", "serve", service, "--host", HOST, "--port", str(port)]
    own = {"BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
    program = Program(serve, [(port, "/readyz")], own)
    return System("bentoml", "BentoML as documented", [program], [port], languages.DOCUMENTED)


def mlserver(folder: Path) -> System:
    """Return the same pickle behind MLServer's own runtime, in an environment of its own.

    Set to what took least CPU a request at 64 connections: no worker processes, since each costs a
    queue both ways; batches of 64, which 64 connections fill without waiting; else a wait of 2 ms,
    which one connection pays in full.
    """
    http, grpc, metrics = ports.free(3)
    listening = {"host": HOST, "http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    settings = {**listening, "debug": False, "parallel_workers": 0}
    batching = {"max_batch_size": 64, "max_batch_time": 0.002}
    runtime = {"name": "clusters", "implementation": "mlserver_sklearn.SKLearnModel"}
    model = {**runtime, **batching, "parameters": {"uri": str(PICKLE)}}
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    ready = [(http, "/v2/models/clusters/ready")]
    program = Program([str(MLSERVER), "start", str(folder)], ready)
    return System("mlserver", "MLServer", [program], [http], languages.TENSORS)


def model_program(folder: Path, port: int, workers: int = 1, service: str = ".") -> Program:
    """Return the model service as the laptop's runner starts it, with a store of its own."""
    program = laptop.model_service(port).program
    imported = shlex.join([PYTHON, "-m", "model_store", "import"])
    script = f"{imported} && exec {shlex.join([*program.command, service])}"
    own = {"BENTOML_HOME": str(folder / "bentoml"), "MODEL_SERVICE_WORKERS": str(workers)}
    return replace(
        program, command=["/bin/sh", "-c", script], environment={**program.environment, **own}
    )


def evaluation_program(folder: Path, port: int, model: int, database_url: str = SQLITE) -> Program:
    """Return the evaluation service as the laptop's runner starts it."""
    program = laptop.evaluation_service(port, f"http://{HOST}:{model}").program
    own = {"EVALUATION_DATABASE_URL": database_url.format(folder=folder)}
    return replace(program, environment={**program.environment, **own})


def _access_key(database_url: str) -> str:
    """Make a system's key as an operator does, before the service that will know it starts."""
    create = [PYTHON, "-m", "evaluation_api", "keys", "create", "bench", "--role", "integracao"]
    own = {**os.environ, "EVALUATION_DATABASE_URL": database_url}
    return subprocess.check_output(create, cwd=ROOT, env=own, text=True).strip()  # noqa: S603 - our own command


def _unrecorded(port: int, environment: dict[str, str] | None = None) -> Program:
    command = [PYTHON, "-m", "bench.subjects.unrecorded", str(port)]
    return Program(command, [(port, "/health/live")], environment or {})


def _uvicorn(module: str, port: int, environment: dict[str, str] | None = None) -> Program:
    command = [PYTHON, "-m", "uvicorn", f"bench.subjects.{module}:app", "--host", HOST]
    quiet = ["--port", str(port), "--no-access-log", "--log-level", "warning"]
    return Program([*command, *quiet], [(port, "/openapi.json")], environment or {})

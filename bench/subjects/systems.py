"""What is measured: each system as its users start it, and what it must answer."""

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.subjects import clients, spoken
from bench.subjects.clients import Client
from bench.subjects.spoken import Read
from deploy import ports
from deploy.ports import HOST
from deploy.processes import ROOT, Program

PYTHON = sys.executable


@dataclass(frozen=True)
class System:
    """Programs in the order of starting, and how to talk to them.

    ports: where requests go, in turn. encode, read: the body for n clients, and the labels in an
    answer to it, or None where nothing was predicted. record: the SQLite file it must write.
    batching_port: where BentoML says what it batched. keyed: whether callers send Idempotency-Keys.
    """

    key: str
    title: str
    programs: Sequence[Program]
    ports: Sequence[int]
    path: str
    encode: Callable[[Sequence[Client]], str]
    read: Read
    record: Path | None = None
    batching_port: int | None = None
    keyed: bool = False


Make = Callable[[Path], System]
"""A system with ports and files of its own in a folder."""


def monolith(_: Path) -> System:
    """Return what the system replaces, in one uvicorn process."""
    (port,) = ports.free(1)
    programs = [_uvicorn("bench.subjects.monolith:app", port)]
    return _evaluating("monolith", "monolith", programs, [port])


def monolith_async(folder: Path) -> System:
    """Return the monolith by its route without a thread."""
    system = monolith(folder)
    return replace(
        system, key="monolith-async", title="monolith, async def", path="/avaliar-sem-thread"
    )


def split(_: Path) -> System:
    """Return the monolith cut in two and no more."""
    model, front = ports.free(2)
    environment = {"SPLIT_MODEL_URL": f"http://{HOST}:{model}"}
    programs = [
        _uvicorn("bench.subjects.split_model:app", model),
        _uvicorn("bench.subjects.split_front:app", front, environment),
    ]
    return _evaluating("split", "naive split", programs, [front])


def ceiling(_: Path) -> System:
    """Return our route without model and record."""
    (port,) = ports.free(1)
    command = [PYTHON, "-m", "bench.subjects.ceiling", str(port)]
    programs = [Program(command, [(port, "/health/live")])]
    return _evaluating("ceiling", "ceiling", programs, [port], spoken.canned)


def this_system(folder: Path, root: Path = ROOT, python: str = PYTHON) -> System:
    """Return both services as `make run` starts them, with a store and a record of their own."""
    model, evaluation = ports.free(2)
    record = folder / "evaluations.db"
    program = Program(
        [python, "-m", "deploy.laptop"],
        [(model, "/readyz"), (evaluation, "/health/ready")],
        {
            "MODEL_PORT": str(model),
            "EVALUATION_PORT": str(evaluation),
            "EVALUATION_DATABASE_URL": f"sqlite:///{record}",
            "BENTOML_HOME": str(folder / "bentoml"),
        },
        root,
    )
    read = spoken.explained_evaluation
    system = _evaluating("system", "this system", [program], [evaluation], read)
    return replace(system, record=record, batching_port=model)


def checkout(folder: Path, root: Path) -> System:
    """Return what `make run` starts in another checkout, from the environment in its .venv."""
    system = this_system(folder, root, str(root / ".venv/bin/python"))
    return replace(system, key="checkout", title=root.name)


def replicated(evaluations: int, workers: int, database_url: str) -> Make:
    """Return so many evaluation processes in front of one model service, on one database."""

    def make(folder: Path) -> System:
        model, *fronts = ports.free(1 + evaluations)
        programs = [_model_service(folder, model, workers)]
        command = [PYTHON, "-m", "evaluation_api"]
        programs += [_evaluation(command, folder, port, model, database_url) for port in fronts]
        title = f"{evaluations} evaluation, {workers} model"
        read = spoken.explained_evaluation
        key = f"{evaluations}x{workers}"
        return replace(_evaluating(key, title, programs, fronts, read), batching_port=model)

    return make


def recorded(key: str, title: str, database_url: str, service: str = str(ROOT)) -> Make:
    """Return one process of each service, with its record in a database of choice."""

    def make(folder: Path) -> System:
        model, evaluation = ports.free(2)
        programs = [
            _model_service(folder, model, 1, service),
            _evaluation([PYTHON, "-m", "evaluation_api"], folder, evaluation, model, database_url),
        ]
        return _evaluating(key, title, programs, [evaluation])

    return make


def keyed(make: Make) -> Make:
    """Return a system whose callers send an Idempotency-Key with each request."""

    def make_keyed(folder: Path) -> System:
        system = make(folder)
        key, title = f"{system.key}-keyed", f"{system.title}, with keys"
        return replace(system, key=key, title=title, keyed=True)

    return make_keyed


def unrecorded(folder: Path) -> System:
    """Return one process of each service, and no record."""
    model, evaluation = ports.free(2)
    command = [PYTHON, "-m", "bench.subjects.unrecorded", str(evaluation)]
    programs = [
        _model_service(folder, model, 1),
        Program(
            command,
            [(evaluation, "/health/live")],
            {"EVALUATION_MODEL_URL": f"http://{HOST}:{model}"},
        ),
    ]
    return _evaluating("unrecorded", "no record", programs, [evaluation])


def model_service(workers: int) -> Make:
    """Return the model service alone."""

    def make(folder: Path) -> System:
        (port,) = ports.free(1)
        program = _model_service(folder, port, workers)
        plural = "worker" if workers == 1 else "workers"
        return System(
            key=f"model{workers}",
            title=f"this model service, {workers} {plural}",
            programs=[program],
            ports=[port],
            path="/predict",
            encode=clients.predict_body,
            read=spoken.predictions,
            batching_port=port,
        )

    return make


def bentoml_as_documented(folder: Path) -> System:
    """Return the same pickle behind BentoML as its documentation shows it."""
    (port,) = ports.free(1)
    serve = _bentoml_serve("bench.subjects.bentoml_as_documented:Clusters", port)
    environment = {"BENTOML_HOME": str(folder / "bentoml")}
    return System(
        key="bentoml",
        title="BentoML as documented",
        programs=[Program(serve, [(port, "/readyz")], environment)],
        ports=[port],
        path="/predict",
        encode=clients.listed_body,
        read=spoken.labels,
    )


def _evaluating(
    key: str,
    title: str,
    programs: Sequence[Program],
    ports: Sequence[int],
    read: Read = spoken.evaluation,
) -> System:
    def encode(group: Sequence[Client]) -> str:
        (client,) = group
        return clients.avaliar_body(client)

    return System(key, title, programs, ports, "/avaliar", encode, read)


def _uvicorn(app: str, port: int, environment: dict[str, str] | None = None) -> Program:
    command = [PYTHON, "-m", "uvicorn", app, "--host", HOST, "--port", str(port)]
    quiet = ["--no-access-log", "--log-level", "warning"]
    return Program([*command, *quiet], [(port, "/health")], environment or {})


def _evaluation(
    command: Sequence[str], folder: Path, port: int, model: int, database_url: str
) -> Program:
    environment = {
        "EVALUATION_PORT": str(port),
        "EVALUATION_MODEL_URL": f"http://{HOST}:{model}",
        "EVALUATION_DATABASE_URL": database_url.format(folder=folder),
    }
    return Program(command, [(port, "/health/ready")], environment)


def _model_service(folder: Path, port: int, workers: int, service: str = str(ROOT)) -> Program:
    """Import the model into a store of its own first, as the laptop's runner does."""
    serve = shlex.join(_bentoml_serve(service, port))
    script = f"{shlex.quote(PYTHON)} -m model_store import && exec {serve}"
    environment = {
        "BENTOML_HOME": str(folder / "bentoml"),
        "MODEL_SERVICE_WORKERS": str(workers),
    }
    return Program(["/bin/sh", "-c", script], [(port, "/readyz")], environment)


def _bentoml_serve(service: str, port: int) -> list[str]:
    return [PYTHON, "-m", "bentoml", "serve", service, "--host", HOST, "--port", str(port)]

"""What strangers can do to the model service, and what it does to strangers: nothing."""

import pickle
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.processes import Program, Running
from tests.clients import AMOUNTS
from tests.services import ENVIRONMENT, READY_SECONDS, Server, free_port

UNKNOWN = 1000
LABEL = re.compile(r'endpoint="([^"]*)"')

PATHS = [
    "/predict",
    "/models/credit_card_clusters:0123456789ab/predict",
    "/model",
    "/health",
    "/livez",
    "/readyz",
    "/metrics",
    "/docs.json",
    "/schema.json",
    "/predict/submit",
    "/",
]
CONTENT_TYPES = [
    "application/json",
    "application/vnd.bentoml+pickle",
    "application/vnd.bentoml+arrow",
    "application/x-pickle",
    "application/python-pickle",
    "application/octet-stream",
    "application/x-python-serialize",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "text/plain",
    "",
]

#: Has every Python that is started note whom it looks up and whom it connects to.
LISTENER = """
import os, sys

def listen(event, args):
    if event == "socket.connect" and isinstance(args[1], tuple):
        note(args[1][0])
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        note(args[0])

def note(host):
    with open(os.environ["LISTENER_NOTES"], "a") as notes:
        notes.write(f"{host if isinstance(host, str) else host and host.decode()}\\n")

sys.addaudithook(listen)
"""


@pytest.fixture
def http(model_service: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=model_service.url, timeout=20) as client:
        yield client


def test_1000_unknown_paths_leave_no_label_in_the_metrics(http: httpx.Client) -> None:
    for n in range(UNKNOWN):
        assert http.get(f"/stranger-{n}-Maria").status_code == 404
        assert http.post(f"/models/{n}/predict", json=AMOUNTS).status_code == 404
    assert http.get("/" + "x" * 60_000).status_code in {404, 414, 431}

    metrics = http.get("/metrics").raise_for_status().text
    assert "Maria" not in metrics
    assert set(LABEL.findall(metrics)) <= {
        *("/predict", "/livez", "/readyz", "/healthz", "/docs.json", "/schema.json"),
    }
    assert http.post("/predict", json=AMOUNTS).is_success


class Hostile:
    """Writes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self._path,)


def test_no_callers_bytes_are_ever_unpickled(http: httpx.Client, tmp_path: Path) -> None:
    written = tmp_path / "written"
    hostile = pickle.dumps(Hostile(written))
    part = b'--x\r\nContent-Disposition: form-data; name="clients"; filename="a.pkl"\r\n'
    part += b"Content-Type: application/vnd.bentoml+pickle\r\n\r\n%s\r\n--x--\r\n" % hostile

    for path in PATHS:
        for content_type in CONTENT_TYPES:
            body = part if content_type.startswith("multipart") else hostile
            headers = {"content-type": content_type, "payload-container": "PickleDataContainer"}
            refusal = http.post(path, content=body, headers=headers)

            assert 400 <= refusal.status_code < 500, (path, content_type)
            assert not written.exists(), (path, content_type)
    pickle.loads(hostile)  # noqa: S301 - our own
    assert written.exists(), "it would not have written either way"


def test_a_start_speaks_to_this_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BENTOML_DO_NOT_TRACK", raising=False)
    (tmp_path / "sitecustomize.py").write_text(LISTENER)
    (tmp_path / "notes").touch()
    model, evaluation = free_port(), free_port()
    environment = {
        **ENVIRONMENT,
        "PYTHONPATH": str(tmp_path),
        "LISTENER_NOTES": str(tmp_path / "notes"),
        "MODEL_PORT": str(model),
        "EVALUATION_PORT": str(evaluation),
        "EVALUATION_DATABASE_URL": f"sqlite:///{tmp_path / 'evaluations.db'}",
        "BENTOML_HOME": str(tmp_path / "bentoml"),
        "TMPDIR": str(tmp_path),
    }
    ready = [(model, "/readyz"), (evaluation, "/health/ready")]
    program = Program([sys.executable, "-m", "deploy.laptop"], ready, environment)

    with Running(program, tmp_path / "log") as running:
        running.wait_until_ready(READY_SECONDS)

    heard = set((tmp_path / "notes").read_text().split())
    assert heard, "the listener heard nothing at all"
    assert heard <= {"127.0.0.1", "localhost", "None", "::1"}

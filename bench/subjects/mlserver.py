"""MLServer with adaptive batching and its own scikit-learn runtime, in an environment of its own.

Set to what took least CPU a request at 64 connections: no worker processes, since each costs a
queue both ways; batches of 64, which 64 connections fill without waiting; else a wait of 2 ms,
which one connection pays in full.
"""

import json
from pathlib import Path

from bench.subjects import clients, spoken
from bench.subjects.original import PICKLE
from bench.subjects.systems import System
from deploy import ports
from deploy.ports import HOST
from deploy.processes import ROOT, Program

PROGRAM = ROOT / "var/bench-mlserver/bin/mlserver"
_MODEL = {
    "name": "clusters",
    "implementation": "mlserver_sklearn.SKLearnModel",
    "max_batch_size": 64,
    "max_batch_time": 0.002,
    "parameters": {"uri": str(PICKLE)},
}


def mlserver(folder: Path) -> System:
    """Return the same pickle behind MLServer."""
    http, grpc, metrics = ports.free(3)
    settings = {
        "host": HOST,
        "http_port": http,
        "grpc_port": grpc,
        "metrics_port": metrics,
        "debug": False,
        "parallel_workers": 0,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(_MODEL))
    command = [str(PROGRAM), "start", str(folder)]
    return System(
        key="mlserver",
        title="MLServer",
        programs=[Program(command, [(http, "/v2/models/clusters/ready")])],
        ports=[http],
        path="/v2/models/clusters/infer",
        encode=clients.tensor_body,
        read=spoken.tensor,
    )

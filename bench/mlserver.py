"""MLServer with adaptive batching and its own scikit-learn runtime, in an environment of its own.

parallel_workers 0 keeps the model in the server's process, which for a model this small is the
fastest: each worker process costs a queue both ways. A batch waits up to 2 ms for company. The
request and access logs are off, as ours are.
"""

import json
from pathlib import Path

from bench import clients, spoken
from bench.original import PICKLE
from bench.processes import HOST, ROOT, Program, free_ports
from bench.systems import System

PROGRAM = ROOT / "var/bench-mlserver/bin/mlserver"
_MODEL = {
    "name": "clusters",
    "implementation": "mlserver_sklearn.SKLearnModel",
    "max_batch_size": 256,
    "max_batch_time": 0.002,
    "parameters": {"uri": str(PICKLE)},
}


def mlserver(folder: Path) -> System:
    """Return the same pickle behind MLServer."""
    http, grpc, metrics = free_ports(3)
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
        spell=clients.tensor_body,
        read=spoken.tensor,
    )

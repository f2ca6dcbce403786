"""The gateway as its image has it, on this machine's nginx: the same files, at other places."""

import os
import shutil
from pathlib import Path
from typing import Self

from deploy.processes import ROOT, NotReadyError, Program, Running
from tests.services import free_port


class Gateway:
    """nginx on free ports, in front of an evaluation service or of nothing."""

    def __init__(self, folder: Path, evaluation_port: int = 9, **environment: str) -> None:
        self.folder = folder
        self.port, self.tls_port = free_port(), free_port()
        self.log = folder / "gateway.log"
        self._environment = {
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
            "GATEWAY_EVALUATION_HOST": "127.0.0.1",
            "GATEWAY_EVALUATION_PORT": str(evaluation_port),
            "GATEWAY_RATE_PER_SECOND": "10000",
            "GATEWAY_BURST": "10000",
            "GATEWAY_TRUSTED_PROXIES": "",
            "GATEWAY_WORKERS": "1",
            "GATEWAY_HOSTS": "clientes.example, server x",
            "GATEWAY_PUBLIC_URL": "https://Pessoas.example:8443/",
            "GATEWAY_HTTPS_PORT": "443",
            **environment,
        }
        shutil.copytree(ROOT / "deploy/nginx", folder / "etc")
        for file in (folder / "etc").iterdir():
            file.write_text(self._moved(file.read_text()))

    def _moved(self, text: str) -> str:
        places = {
            "/etc/gateway/tls": str(self.folder / "tls"),
            "/etc/gateway": str(self.folder / "etc"),
            "/tmp/gateway": str(self.folder / "run"),  # noqa: S108 - as the file has it
            "/srv/frontend": str(ROOT / "frontend"),
            "/dev/stdout": str(self.folder / "access.log"),
            "/dev/stderr": str(self.folder / "error.log"),
            "listen 8080": f"listen 127.0.0.1:{self.port}",
            "listen 8443": f"listen 127.0.0.1:{self.tls_port}",
        }
        for place, here in places.items():
            text = text.replace(place, here)
        # Workers of root's nginx are nobody, who reads no test's folder.
        return text.replace("events {", "user root;\nevents {") if os.geteuid() == 0 else text

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        """Start it, and return once it answers."""
        command = ["bash", str(self.folder / "etc/gateway.sh")]
        ready = [(self.port, "/gateway/live")]
        self._running = Running(Program(command, ready, self._environment), self.log)
        try:
            self._running.wait_until_ready(20)
        except NotReadyError:
            self._running.stop(5)
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop it: nginx's workers show no environment to be found by, and outlive a kill."""
        self._running.stop(5)

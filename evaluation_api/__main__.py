"""python -m evaluation_api: serves, or with a command does one thing and ends."""

import uvicorn

from evaluation_api import logs
from evaluation_api.app import create_app
from evaluation_api.settings import Settings


def serve() -> None:
    """Serve until told to stop."""
    settings = Settings()
    logs.configure(settings.log_level, settings.log_format)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_keep_alive=5,
    )


if __name__ == "__main__":
    serve()

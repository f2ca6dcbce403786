"""A real provider of identities, oidc-provider-mock, and an evaluation service that asks it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.access import SECRET
from tests.services import CERTIFICATES, Server, evaluation_server, free_port

ROLES = {"credito": ["analista"], "credito-chefia": ["revisor", "gestor"], "ti": ["operador"]}
DISCOVERY = "/.well-known/openid-configuration"


@contextmanager
def provider(folder: Path) -> Iterator[Server]:
    """Start one that knows nobody yet."""
    port = free_port()
    command = ["-m", "oidc_provider_mock", "--port", str(port), "--host", "127.0.0.1"]
    with Server(command, DISCOVERY, folder / "provider.log", port) as running:
        yield running


def know(running: Server, person: str, groups: object, **claims: object) -> None:
    """Have the provider know a person, by what it calls them."""
    told = {"email": f"{person}@example.com", "groups": groups} | claims
    address = f"{running.url}/users/{person}"
    httpx.put(address, json=told, verify=CERTIFICATES).raise_for_status()


def signing_in(folder: Path, model_url: str, identities: Server | None = None) -> Server:
    """Prepare an evaluation service where people sign in, with a provider's accounts if any."""
    server = evaluation_server(folder, model_url, EVALUATION_ACCESS_SECRET=SECRET)
    server.environment["EVALUATION_PUBLIC_URL"] = server.url
    if identities is not None:
        server.environment |= {
            "EVALUATION_OIDC_DISCOVERY_URL": f"http://localhost:{identities.port}{DISCOVERY}",
            "EVALUATION_OIDC_CLIENT_ID": "evaluation",
            "EVALUATION_OIDC_CLIENT_SECRET": "of-the-client",
            "EVALUATION_OIDC_ROLES": json.dumps(ROLES),
        }
    return server

"""Serves the application as its settings have it, or says why that must not be done."""

from ipaddress import ip_address

from evaluation_api import app
from evaluation_api.decision import errors
from evaluation_api.runtime import server
from evaluation_api.runtime.load_shedding import ConcurrencyLimit
from evaluation_api.settings import Settings, name_unknown
from evaluation_api.web import problems


class NotServedError(errors.EvaluationError):
    """Which setting stands in the way, in one sentence."""


def serve(settings: Settings) -> None:
    """Serve until told to stop. Raises NotServedError, and what server.serve raises."""
    if not settings.frontend_path.is_dir():
        raise NotServedError(f"EVALUATION_FRONTEND_PATH: {settings.frontend_path} is no folder")
    if settings.access_secret is None and not _is_loopback(settings.host):
        raise NotServedError(
            f"EVALUATION_HOST: at {settings.host} anybody who reaches it could do everything; set"
            " EVALUATION_ACCESS_SECRET to 32 random characters or more, and sign in by the address"
            ' that "python -m evaluation_api keys link NAME" prints, or listen on 127.0.0.1.'
        )
    if settings.access_secret is None and settings.oidc_discovery_url is not None:
        raise NotServedError(
            "EVALUATION_OIDC_DISCOVERY_URL: without EVALUATION_ACCESS_SECRET everybody comes in,"
            " and nobody by a provider"
        )
    name_unknown(Settings)
    limit = ConcurrencyLimit(settings.max_in_flight)
    server.serve(
        app.create_app(settings, limit),
        settings.host,
        settings.port,
        limit=limit,
        refusal=problems.refusal,
        gateways=settings.gateways,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""The settings, from the environment; README.md has the table.

Read once, by commands.main; everybody else is given values.
"""

import logging
import os
import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, Json, SecretStr, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from evaluation_api.access.identity import Role
from evaluation_api.decision import policy_file

logger = logging.getLogger(__name__)

_FRONTEND = Path(__file__).parents[1] / "frontend"
_SHORTEST_SECRET = 32
#: As it stands in a Host header, the port apart.
_HOST = re.compile(r"[\w.-]+|\[[0-9A-Fa-f:.]+\]", re.ASCII)


def address(url: str) -> str:
    """Return the URL itself, if it says where a service is: else nothing would ever answer."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        is_one &= not any(map(str.isspace, url))
        (parts.hostname or "").encode("idna")  # as whoever looks it up does
    except ValueError:  # the port, a bracket, or a name with a part that none has
        is_one = False
    if not is_one or parts.query or parts.fragment:
        raise PydanticCustomError("address", "is no address such as http://127.0.0.1:8001")
    return url


def _origin(url: str) -> str:
    """Return the URL itself, if pages that have the root of their host can be there."""
    if urlsplit(address(url)).path not in {"", "/"}:
        raise PydanticCustomError("origin", "has a path, and the pages are served at / alone")
    return url


def _beside_a_provider(value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - of two settings
    """Return the value itself, if it is set where a provider is, alone: nobody would come in."""
    is_one_named = info.data.get("oidc_discovery_url", value)  # a wrong one is told by itself
    if is_one_named and not value:
        raise PydanticCustomError("provider", "is needed with EVALUATION_OIDC_DISCOVERY_URL")
    if value and not is_one_named:
        raise PydanticCustomError("provider", "does nothing without EVALUATION_OIDC_DISCOVERY_URL")
    return value


def _gateways(addresses: str) -> str:
    """Return the addresses themselves, if each can be one: else callers would share one rate."""
    try:
        for one in filter(None, map(str.strip, addresses.split(",") if addresses != "*" else [])):
            (ip_network if "/" in one else ip_address)(one)
    except ValueError as exc:
        raise PydanticCustomError(
            "gateways", "is no list such as 10.0.0.5,10.1.0.0/16: of addresses, networks, or *"
        ) from exc
    return addresses


def _scope(scope: str) -> str:
    if "openid" not in scope.split():
        raise PydanticCustomError("scope", "has no openid, without which nobody is told who it is")
    return scope


def _host_names(names: str) -> str:
    """Return the names themselves, if each can be one: else every page would be refused."""
    if not all(_HOST.fullmatch(name.strip()) for name in names.split(",")):
        raise PydanticCustomError(
            "hosts", "is no list such as example.com,localhost: without ports"
        )
    return names


def _secret(text: SecretStr) -> SecretStr:
    """Return a secret itself, if it is long enough to be one."""
    if len(text.get_secret_value().strip()) < _SHORTEST_SECRET:
        raise PydanticCustomError("secret", f"has fewer than {_SHORTEST_SECRET} characters")
    return text


class Settings(BaseSettings):
    """Each from EVALUATION_ and its name in capitals, but for one that two services share.

    README.md says what each is for, and docs/security.md those of a provider of identities.
    """

    model_config = SettingsConfigDict(env_prefix="EVALUATION_", frozen=True, populate_by_name=True)

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    allowed_hosts: Annotated[str, AfterValidator(_host_names)] = "localhost,127.0.0.1,[::1]"
    public_url: Annotated[str, AfterValidator(_origin)] = Field(
        default_factory=lambda known: f"http://127.0.0.1:{known['port']}"
    )
    access_secret: Annotated[SecretStr, AfterValidator(_secret)] | None = None
    oidc_discovery_url: Annotated[str, AfterValidator(address)] | None = None
    oidc_client_id: Annotated[str, AfterValidator(_beside_a_provider)] = Field(
        "", validate_default=True
    )
    oidc_client_secret: SecretStr = SecretStr("")
    oidc_scope: Annotated[str, AfterValidator(_scope)] = "openid email profile"
    oidc_name_claim: str = "email"
    oidc_groups_claim: str = "groups"
    oidc_roles: Annotated[Json[dict[str, list[Role]]], AfterValidator(_beside_a_provider)] = Field(
        "{}", validate_default=True
    )
    gateways: Annotated[str, AfterValidator(_gateways)] = ""
    rate_per_second: float = Field(50, gt=0, allow_inf_nan=False)
    model_url: Annotated[str, AfterValidator(address)] = "http://127.0.0.1:8001"
    model_token: Annotated[SecretStr, AfterValidator(_secret)] | None = Field(
        None, validation_alias="MODEL_SERVICE_TOKEN"
    )
    database_url: SecretStr = SecretStr("sqlite:///var/evaluations.db")
    policy_path: Path = policy_file.DEFAULT
    model_deadline_seconds: float = Field(2.0, gt=0, le=60)
    max_in_flight: int = Field(512, ge=1)
    log_format: str = Field("text", pattern="^(text|json)$")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    frontend_path: Path = _FRONTEND


def name_unknown(*kinds: type[BaseSettings]) -> None:
    """Log which of the environment's variables begin as settings of a kind, and set nothing."""
    by_prefix = {kind.model_config["env_prefix"]: kind.model_fields for kind in kinds}
    mistyped = sorted(
        name
        for name in os.environ
        for prefix, fields in by_prefix.items()
        if name.startswith(prefix) and name[len(prefix) :].lower() not in fields
    )
    if mistyped:
        logger.warning("unknown_settings", extra={"names": " ".join(mistyped)})


def wrong_settings(exc: ValidationError, *kinds: type[BaseSettings]) -> str:
    """Name each wrong setting of one of the kinds by its variable; its value may be a secret."""
    [prefix] = [kind.model_config["env_prefix"] for kind in kinds if kind.__name__ == exc.title]
    return "; ".join(
        f"{name if name.isupper() else prefix + name.upper()}: {error['msg']}"
        for error in exc.errors(include_input=False, include_url=False)
        if error["type"] != "default_factory_not_called"  # what it follows from is told by itself
        for name in [str(error["loc"][0])]
    )

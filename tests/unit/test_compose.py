"""What docker-compose.yml, .env.example and the gateway's configuration promise, read as files."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from fastapi.routing import iter_route_contexts

from deploy.stack import WAIT_SECONDS
from evaluation_api.app import create_fastapi_app

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
TLS = (ROOT / "deploy/compose.tls.yml").read_text()
SERVICES: dict[str, Any] = COMPOSE["services"]
PRIVATE = {"/metrics"}


def test_only_who_decides_shares_a_network_with_the_model_or_the_record() -> None:
    def sharing(service: str) -> set[str]:
        networks = set(SERVICES[service]["networks"])
        return {name for name, other in SERVICES.items() if networks & set(other["networks"])}

    deciding = {"client_evaluation_service", "client_portfolio_worker"}
    assert sharing("ml_model_service") == {"ml_model_service", *deciding}
    assert sharing("db") == {"db", *deciding}
    assert sharing("web") == {"web", "client_evaluation_service"}


def test_the_model_service_is_known_by_the_name_that_it_is_called_by() -> None:
    called = SERVICES["client_evaluation_service"]["environment"]["EVALUATION_MODEL_URL"]
    assert called == SERVICES["client_portfolio_worker"]["environment"]["PORTFOLIO_MODEL_URL"]
    allowed = SERVICES["ml_model_service"]["environment"]["MODEL_SERVICE_ALLOWED_HOSTS"]

    assert urlsplit(called).hostname in allowed.split(",")


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_limited_hardened_and_started_again(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["restart"] == "unless-stopped"
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert service["stop_grace_period"]


@pytest.mark.parametrize("name", ["web", "evaluation", "portfolio", "model"])
def test_every_image_of_ours_runs_unprivileged_and_says_whether_it_is_well(name: str) -> None:
    recipe = "".join(p.read_text() for p in (ROOT / "deploy/docker").glob(f"{name}.Dockerfile*"))

    assert "\nUSER 10001:10001\n" in recipe
    assert "\nHEALTHCHECK " in recipe


@pytest.mark.parametrize("name", ["evaluation", "model", "portfolio"])
def test_a_start_may_take_nearly_as_long_as_make_waits_for_it(name: str) -> None:
    recipe = "".join(p.read_text() for p in (ROOT / "deploy/docker").glob(f"{name}.Dockerfile*"))

    (seconds,) = re.findall(r"--start-period=(\d+)s", recipe)
    assert 0.8 * WAIT_SECONDS <= int(seconds) < WAIT_SECONDS


def test_the_example_settings_name_every_variable_and_no_other() -> None:
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text() + TLS))
    # A name without a value is passed on where it is set.
    used |= {name for one in SERVICES.values() for name in unset(one.get("environment", {}))}
    used |= set(re.findall(r"\$\(call setting,(\w+)\)", (ROOT / "Makefile").read_text()))
    example = (ROOT / ".env.example").read_text()

    assert set(re.findall(r"^#?(\w+)=", example, re.MULTILINE)) - {"COMPOSE_FILE"} == used


def unset(environment: dict[str, str | None]) -> list[str]:
    return [name for name, value in environment.items() if value is None]


def test_all_are_told_one_token_and_nobody_starts_without_secrets() -> None:
    evaluation, worker, model = (
        SERVICES[name]["environment"]
        for name in ("client_evaluation_service", "client_portfolio_worker", "ml_model_service")
    )

    assert evaluation["MODEL_SERVICE_TOKEN"] == model["MODEL_SERVICE_TOKEN"]
    assert worker["MODEL_SERVICE_TOKEN"] == model["MODEL_SERVICE_TOKEN"]
    for secret in (evaluation["MODEL_SERVICE_TOKEN"], evaluation["EVALUATION_ACCESS_SECRET"]):
        assert ":?" in secret


def test_every_route_is_public_at_the_gateway_or_private_on_purpose() -> None:
    site = (ROOT / "deploy/nginx/site.conf.template").read_text()
    patterns = re.findall(r"^location ~ (\S+) \{", site, re.MULTILINE)
    exact = set(re.findall(r"^location (?:= )?(/\S*) \{", site, re.MULTILINE)) - {"/"}
    paths = {str(one.path) for one in iter_route_contexts(create_fastapi_app().routes)}

    closed = {
        route
        for route in paths
        if not any(re.search(pattern, route) for pattern in patterns)
        and not any(route.startswith(path.rstrip("/")) for path in exact)
    }

    assert closed == PRIVATE


def test_a_client_has_half_of_the_places_for_files_and_no_route_of_them_besides() -> None:
    template = (ROOT / "deploy/nginx/nginx.conf.template").read_text()
    counted = re.findall(
        r'^\s+"~(\^(?:GET|POST) /lotes\S*)" \$gateway_client;', template, re.MULTILINE
    )
    described = json.loads((ROOT / "docs/openapi.json").read_text())["paths"]
    of_files = {
        f"{method.upper()} {path}"
        for path, methods in described.items()
        for method, told in methods.items()
        if "arquivos_demais" in told["responses"].get("503", {}).get("description", "")
    }

    assert len(of_files) == 4
    assert [one for one in of_files if not any(re.search(known, one) for known in counted)] == []


def test_the_gateway_knows_where_people_reach_the_pages() -> None:
    assert SERVICES["web"]["environment"]["GATEWAY_PUBLIC_URL"] == "${PUBLIC_URL:-}"


def test_with_https_the_pages_are_reached_where_cookies_are_kept_from_plain_http() -> None:
    told = yaml.safe_load(TLS)["services"]["client_evaluation_service"]["environment"]

    assert "${PUBLIC_URL:?" in told["EVALUATION_PUBLIC_URL"]

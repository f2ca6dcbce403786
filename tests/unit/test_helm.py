"""The Helm chart, rendered: what the schemas of Kubernetes say, and what they cannot say."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml

pytestmark = pytest.mark.helm

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm"
VALUES = {
    "default": CHART / "values.yaml",
    "small": CHART / "examples/small.yaml",
    "production": CHART / "examples/production.yaml",
}
SERVICES = ("web", "evaluation", "portfolio", "model")
QUANTITY = re.compile(r"([0-9.]+)(m|Ki|Mi|Gi|)")
FACTORS = {"m": 1e-3, "": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}

Resource = dict[str, Any]


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("helm")
    assert program
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


class Rendered:
    """The resources that one file of values makes."""

    def __init__(self, values: Path, release: str = "release") -> None:
        done = helm("template", release, CHART, "--values", values)
        assert done.returncode == 0, done.stderr
        self.resources = [found for found in yaml.safe_load_all(done.stdout) if found]

    def of(self, kind: str) -> list[Resource]:
        """Return the resources of a kind."""
        return [found for found in self.resources if found["kind"] == kind]

    def named(self, kind: str, component: str) -> Resource:
        """Return one resource of one of the services."""
        return next(r for r in self.of(kind) if r["metadata"]["name"] == f"release-{component}")

    def pods(self) -> Iterator[Resource]:
        for kind in ("Deployment", "Job"):
            for found in self.of(kind):
                yield found["spec"]["template"]

    def selected(self, selector: dict[str, str]) -> list[Resource]:
        """Return the pod templates with these labels."""
        return [p for p in self.pods() if selector.items() <= p["metadata"]["labels"].items()]


@pytest.fixture(scope="module", params=VALUES)
def rendered(request: pytest.FixtureRequest) -> Rendered:
    return Rendered(VALUES[request.param])


@pytest.fixture(scope="module")
def production() -> Rendered:
    return Rendered(VALUES["production"])


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_the_chart_has_nothing_to_lint(values: Path) -> None:
    done = helm("lint", "--strict", CHART, "--values", values)

    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_every_resource_is_valid(rendered: Rendered, version: str) -> None:
    for resource in rendered.resources:
        if resource["kind"] != "ServiceMonitor":  # the Prometheus operator's, with no schema here
            # Raises for what is wrong, what is unknown and, unlike the command, for a kind unknown.
            kubernetes_validate.validate(resource, version, strict=True)


@pytest.mark.parametrize(
    "setting", ["model.replica=2", "ingres.enabled=true", "web.replicas=0", "image.pullPolicy=No"]
)
def test_a_mistyped_value_is_refused(setting: str) -> None:
    assert helm("template", "release", CHART, "--set", setting).returncode != 0


@pytest.mark.parametrize(
    "setting",
    [
        "evaluation.resources.limits.memory=384mb",
        "evaluation.resources.requests.cpu=a",
        "ingress.host=",
        "ingress.host=https://clientes.example/",
        "ingress.host=clientes..example",
        "web.hosts={clientes.example:443}",
        "access.publicURL=clientes.example",
        "database.port=99999",
        "database.peers={10.0.0.0/8}",
        "image.tag=1.2.3+4",
        "image.prefix=Registry.Example/",
        "image.pullSecrets={registry}",
        "serviceMonitor.interval=often",
        "model.tolerations={spot}",
    ],
)
def test_a_value_that_the_cluster_would_refuse_is_refused_by_its_name(setting: str) -> None:
    path, _, _ = setting.partition("=")
    done = helm("template", "release", CHART, "--set", setting)

    assert done.returncode != 0
    assert f"at '/{path.replace('.', '/')}" in done.stderr


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            "evaluation.autoscaling.enabled=true,evaluation.autoscaling.minReplicas=9",
            "minReplicas is 9, more than its maxReplicas, 6.",
        ),
        (
            "model.autoscaling.enabled=true,model.resources.requests.cpu=null",
            "set model.resources.requests.cpu.",
        ),
        ("evaluation.env.EVALUATION_MODEL_URL=http://other", "which the chart sets by itself."),
        ("web.env.GATEWAY_HOSTS=other", "which the chart sets by itself."),
        ("portfolio.env.PORTFOLIO_METRICS_PORT=a", "which the chart sets by itself."),
        ("evaluation.env.EVALUATION_HOST=::1", "which the chart sets by itself."),
        ("web.autoscaling.targetInFlight=20", "evaluation and model count"),
        (
            "evaluation.env.EVALUATION_OIDC_DISCOVERY_URL=https://accounts.example/configuration",
            "access.oidcPort names its port",
        ),
        ("serviceMonitor.enabled=true", "networkPolicy.monitoringNamespace names who does."),
    ],
)
def test_values_that_contradict_each_other_are_refused_in_a_sentence(
    settings: str, sentence: str
) -> None:
    done = helm("template", "release", CHART, "--set", settings)

    assert done.returncode != 0
    assert sentence in done.stderr


def test_every_service_finds_its_pods_and_their_ports(rendered: Rendered) -> None:
    for service in rendered.of("Service"):
        (pod,) = rendered.selected(service["spec"]["selector"])
        names = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}

        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names


def test_releases_with_long_names_that_begin_alike_share_no_object() -> None:
    """53 letters are helm's most, and 63 those of a Service's name."""
    begun = "a" * 31 + "-" + "b" * 20
    names = [
        {
            (one["kind"], one["metadata"]["name"])
            for one in Rendered(VALUES["production"], release).resources
        }
        for release in ("c" * 40, f"{begun}1", f"{begun}2")
    ]

    assert ("Service", "c" * 40 + "-web") in names[0]
    assert names[1].isdisjoint(names[2])
    assert max(len(name) for kind, name in names[1] if kind == "Service") < 64


def test_every_other_selector_finds_pods(rendered: Rendered) -> None:
    for kind in ("Deployment", "PodDisruptionBudget"):
        for resource in rendered.of(kind):
            assert len(rendered.selected(resource["spec"]["selector"]["matchLabels"])) == 1
    for pod in rendered.pods():
        for constraint in pod["spec"].get("topologySpreadConstraints", []):
            assert rendered.selected(constraint["labelSelector"]["matchLabels"]) == [pod]


def test_a_start_may_take_as_long_as_in_a_container_of_the_stack(production: Rendered) -> None:
    for deployment in production.of("Deployment"):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        probe = container["startupProbe"]

        assert probe["periodSeconds"] * probe["failureThreshold"] == 150


def test_probes_and_policies_name_ports_that_exist(rendered: Rendered) -> None:
    for deployment in rendered.of("Deployment"):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        names = {port["name"] for port in container["ports"]}

        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["port"] in names


def test_an_ingress_and_autoscalers_point_at_what_exists(production: Rendered) -> None:
    (ingress,) = production.of("Ingress")
    backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    ports = production.named("Service", "web")["spec"]["ports"]

    assert backend["name"] == "release-web"
    assert backend["port"]["name"] in {port["name"] for port in ports}
    autoscalers = production.of("HorizontalPodAutoscaler")
    assert autoscalers
    for autoscaler in autoscalers:
        target = production.named("Deployment", autoscaler["metadata"]["name"][len("release-") :])
        assert autoscaler["spec"]["scaleTargetRef"]["name"] == target["metadata"]["name"]
        assert "replicas" not in target["spec"], "a deployment would undo what it scaled"


def quantity(text: str) -> float:
    found = QUANTITY.fullmatch(str(text))
    assert found, f"{text} is no quantity"
    return float(found[1]) * FACTORS[found[2]]


def test_resources_are_quantities_and_requests_are_within_limits(rendered: Rendered) -> None:
    for pod in rendered.pods():
        resources = pod["spec"]["containers"][0]["resources"]
        asked = {name: quantity(text) for name, text in resources["requests"].items()}
        most = {name: quantity(text) for name, text in resources["limits"].items()}

        assert set(asked) == {"cpu", "memory"}
        assert asked["memory"] <= most["memory"]


def test_every_pod_meets_the_restricted_standard_and_has_no_token(rendered: Rendered) -> None:
    for pod in rendered.pods():
        spec = pod["spec"]
        security = spec["containers"][0]["securityContext"]

        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True


def test_an_update_takes_no_replica_away_before_another_is_ready(rendered: Rendered) -> None:
    for deployment in rendered.of("Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        sleep = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])

        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        assert sleep + 20 < pod["terminationGracePeriodSeconds"]


def test_liveness_asks_nothing_that_a_restart_cannot_mend(rendered: Rendered) -> None:
    paths = {
        d["metadata"]["name"]: (
            d["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]["path"],
            d["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["httpGet"]["path"],
        )
        for d in rendered.of("Deployment")
    }

    assert paths["release-evaluation"] == ("/health/ready", "/health/live")
    assert paths["release-model"] == ("/readyz", "/livez")


def admitted(rendered: Rendered, component: str) -> set[str]:
    """Return the components whose pods a service's policies let in."""
    return {
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        for rule in rendered.named("NetworkPolicy", component)["spec"]["ingress"]
        for peer in rule["from"]
        if "podSelector" in peer
    }


def test_only_who_decides_reaches_the_model(production: Rendered) -> None:
    assert admitted(production, "model") == {"evaluation", "portfolio"}
    assert admitted(production, "portfolio") == set()
    assert admitted(production, "evaluation") == {"web"}


def test_everything_not_named_is_denied(production: Rendered) -> None:
    deny = production.named("NetworkPolicy", "deny")["spec"]

    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(deny)
    assert production.selected(deny["podSelector"]["matchLabels"]) == list(production.pods())


def test_egress_goes_to_ports_that_somebody_listens_on(production: Rendered) -> None:
    for component, target in (
        ("web", "evaluation"),
        ("evaluation", "model"),
        ("portfolio", "model"),
    ):
        rules = production.named("NetworkPolicy", component)["spec"]["egress"]
        rule = next(r for r in rules if "podSelector" in r.get("to", [{}])[0])
        (pod,) = production.selected(rule["to"][0]["podSelector"]["matchLabels"])
        listening = pod["spec"]["containers"][0]["ports"][0]["containerPort"]

        assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == target
        assert rule["ports"] == [{"port": listening}]


def test_service_monitors_find_services_and_their_ports(production: Rendered) -> None:
    monitors = production.of("ServiceMonitor")
    assert monitors
    for monitor in monitors:
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        (service,) = [
            s for s in production.of("Service") if wanted <= s["metadata"]["labels"].items()
        ]
        (endpoint,) = monitor["spec"]["endpoints"]

        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
        assert endpoint["path"] == "/metrics"


def test_the_model_service_is_known_by_the_name_that_it_is_called_by(rendered: Rendered) -> None:
    called = settings(rendered, "evaluation")["EVALUATION_MODEL_URL"]
    assert called == settings(rendered, "portfolio")["PORTFOLIO_MODEL_URL"]
    allowed = settings(rendered, "model")["MODEL_SERVICE_ALLOWED_HOSTS"]

    assert urlsplit(called).hostname in allowed.split(",")


def settings(rendered: Rendered, component: str) -> dict[str, str]:
    (container,) = rendered.named("Deployment", component)["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value", "") for one in container["env"]}


def test_the_database_url_comes_from_the_secret_alone(rendered: Rendered) -> None:
    for pod in rendered.pods():
        for variable in pod["spec"]["containers"][0].get("env") or []:
            if variable["name"] == "EVALUATION_DATABASE_URL":
                assert set(variable) == {"name", "valueFrom"}
                break
        else:
            assert pod["metadata"]["labels"]["app.kubernetes.io/component"] in {"web", "model"}


def test_images_and_ports_agree_with_compose() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    published = {
        "web": compose["web"],
        "evaluation": compose["client_evaluation_service"],
        "portfolio": compose["client_portfolio_worker"],
        "model": compose["ml_model_service"],
    }
    default = Rendered(VALUES["default"])

    for name, service in published.items():
        (container,) = default.named("Deployment", name)["spec"]["template"]["spec"]["containers"]
        image = re.sub(r"\$\{IMAGE_PREFIX:-(.*?)\}", r"\1", service["image"])
        port = [*service.get("ports", []), *service.get("expose", [])][0].rpartition(":")[2]

        assert container["image"].rpartition(":")[0] == image.partition(":")[0]
        assert container["ports"][0]["containerPort"] == int(port)


def test_each_service_can_have_a_version_of_its_own(production: Rendered) -> None:
    tags = [
        production.named("Deployment", name)["spec"]["template"]["spec"]["containers"][0]["image"]
        for name in SERVICES
    ]

    assert [tag.rpartition(":")[2] for tag in tags] == ["1.4.2", "1.4.2", "1.4.2", "1.4.2-model-3"]


def test_an_image_may_be_named_by_its_digest_alone() -> None:
    digest = f"@sha256:{'a' * 64}"
    done = helm("template", "release", CHART, "--set", f"model.tag={digest}")

    assert f'image: "credit-card-model{digest}"' in done.stdout


@pytest.mark.parametrize("name", ["my.release", "1st"])
def test_a_release_whose_services_could_have_no_such_name_is_refused(name: str) -> None:
    done = helm("template", name, CHART)

    assert done.returncode != 0
    assert f'The release is called "{name}"' in done.stderr


def test_migrations_reach_the_database_before_anything_else_is_there(production: Rendered) -> None:
    job, policy = (production.named(kind, "migrations") for kind in ("Job", "NetworkPolicy"))
    told = policy["metadata"]["annotations"]

    assert told.items() >= job["metadata"]["annotations"].items()
    assert int(told["helm.sh/hook-weight"]) < 0
    assert "helm.sh/hook-weight" not in job["metadata"]["annotations"]


def test_the_operators_prometheus_finds_what_it_is_to_read(production: Rendered) -> None:
    for monitor in production.of("ServiceMonitor"):
        assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"


def test_the_gateway_knows_the_names_by_which_it_is_asked(production: Rendered) -> None:
    (container,) = production.named("Deployment", "web")["spec"]["template"]["spec"]["containers"]
    names = next(one["value"] for one in container["env"] if one["name"] == "GATEWAY_HOSTS").split()

    assert names[0] == production.of("Ingress")[0]["spec"]["rules"][0]["host"]
    assert production.named("Service", "web")["metadata"]["name"] in names


def test_the_gateway_knows_where_people_reach_the_pages(rendered: Rendered) -> None:
    told = settings(rendered, "web")["GATEWAY_PUBLIC_URL"]

    assert told == settings(rendered, "evaluation")["EVALUATION_PUBLIC_URL"]


def test_all_are_told_one_token_out_of_one_secret(rendered: Rendered) -> None:
    for name in ("evaluation", "portfolio", "model"):
        told = secret_of(rendered, name, "MODEL_SERVICE_TOKEN")
        assert told == {"name": "evaluation-access", "key": "model-token"}


def test_people_say_who_they_are_and_the_gateway_is_believed(rendered: Rendered) -> None:
    signed = secret_of(rendered, "evaluation", "EVALUATION_ACCESS_SECRET")

    assert signed == {"name": "evaluation-access", "key": "session-secret"}
    is_alone = bool(rendered.of("NetworkPolicy"))
    assert (settings(rendered, "evaluation")["EVALUATION_GATEWAYS"] == "*") is is_alone
    reached = urlsplit(settings(rendered, "evaluation")["EVALUATION_PUBLIC_URL"]).hostname
    assert reached == ("clientes.example" if rendered.of("Ingress") else "localhost")


def test_without_network_policies_the_gateways_that_are_believed_have_names() -> None:
    done = helm("template", "release", CHART, "--set", "networkPolicy.enabled=false")

    assert done.returncode != 0
    assert "access.gateways" in done.stderr


def secret_of(rendered: Rendered, component: str, variable: str) -> Any:  # noqa: ANN401 - YAML
    pod = rendered.named("Deployment", component)["spec"]["template"]["spec"]
    variables = {one["name"]: one for one in pod["containers"][0]["env"]}
    return variables[variable]["valueFrom"]["secretKeyRef"]

"""Wires the parts into one application. The only module that knows them all."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Lifespan
from swagger_ui_bundle import swagger_ui_path

from evaluation_api import VERSION
from evaluation_api.access.gate import Access, Gate
from evaluation_api.access.keyring import Keyring
from evaluation_api.access.limits import RateLimit
from evaluation_api.access.roles import Rules
from evaluation_api.access.sessions import Sessions
from evaluation_api.client_files import routes as client_file_routes
from evaluation_api.client_files.log import ClientFileLog
from evaluation_api.client_files.routes import Files
from evaluation_api.decision import policy_file
from evaluation_api.decision.evaluation import Evaluator
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.model.circuit import Circuit
from evaluation_api.model.client import ModelClient
from evaluation_api.model.transport import KeptAliveTransport
from evaluation_api.record import database, schema
from evaluation_api.record.appender import Appender
from evaluation_api.record.chain import ChainLog
from evaluation_api.record.credentials import CredentialLog, CredentialWatch
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.executor import CALL_SECONDS, DECISION_SECONDS, RecordExecutor
from evaluation_api.record.journal import Journal
from evaluation_api.record.models import ModelLog, ModelWatch
from evaluation_api.record.outage import Outage, RecordWatch
from evaluation_api.record.pending import PendingQueue
from evaluation_api.record.pending_worker import PendingWorker
from evaluation_api.record.policies import PolicyLog
from evaluation_api.record.sealer import Sealer
from evaluation_api.record.search.searches import Searches
from evaluation_api.runtime import server
from evaluation_api.runtime.identity import new_id, now
from evaluation_api.runtime.load_shedding import ConcurrencyLimit
from evaluation_api.runtime.observation import Observation
from evaluation_api.settings import Settings
from evaluation_api.web import answers, disclosure, pages, problems, routes, sign_in
from evaluation_api.web.admission import Admission
from evaluation_api.web.openapi import DescribedApp
from evaluation_api.web.routes import Services

if TYPE_CHECKING:
    from evaluation_api.access.oidc import Provider

_API_PAGE = Path(__file__).parent / "web" / "api_page"

#: Their names are in ASCII, as the names of what clients are generated from.
_SUBJECTS: Final = [
    {"name": "avaliacoes", "description": "Avaliações e revisões"},
    {"name": "criterios", "description": "Política e modelo em vigor"},
    {"name": "lotes", "description": "Arquivos de muitos clientes"},
    {"name": "acesso", "description": "Quem entra, e o que pode"},
    {"name": "servico", "description": "Como o serviço está"},
]


def create_app(settings: Settings, limit: ConcurrencyLimit | None = None) -> FastAPI:
    """Make the application; it opens the database and the model when it starts.

    limit: what it is served within; where it is reached, the application is not ready.
    """
    access = access_of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with services_of(settings, access, app.state.outage) as services:
            log = ClientFileLog(services.evaluations.engine)
            app.state.services = services
            app.state.client_files = Files(log, services.executor, services.journal)
            server.spare_the_garbage_collector()
            yield

    app = create_fastapi_app(lifespan, hosts=settings.allowed_hosts.split(","), access=access)
    app.state.limit = limit or ConcurrencyLimit(settings.max_in_flight)
    # No mount: at "/" it would answer the methods that a route of the API does not take.
    app.router.default = pages.Files(settings.frontend_path)
    return app


def create_fastapi_app(
    lifespan: Lifespan[FastAPI] | None = None,
    *,
    hosts: Iterable[str] = ("localhost", "127.0.0.1"),
    fast_path: bool = True,
    access: Access | None = None,
) -> FastAPI:
    """Make the application without its pages.

    lifespan: puts what the routes need in its state. hosts: see Admission. fast_path: see
    routes.install. access: tells who asks; without it anybody may do everything, however often.
    """
    app = DescribedApp(
        title="Avaliação de clientes de cartão de crédito",
        version=VERSION,
        description="Diz se um cliente em potencial pode ter um cartão, e por quê.",
        docs_url=None,
        redoc_url=None,
        openapi_tags=_SUBJECTS,
        lifespan=lifespan,
        redirect_slashes=False,  # it would name whatever host was asked for
        # Nobody collects it, and looking for who might took 5 % of a request's time.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.outage = Outage()
    problems.install(app)
    routes.install(app, fast_path=fast_path)
    app.include_router(client_file_routes.router)
    app.include_router(sign_in.router)
    app.mount("/entrar/oidc", sign_in.of_provider(access))
    app.state.access = access
    app.add_route(problems.PAGE, problems.show_all, include_in_schema=False)
    app.mount("/docs/swagger-ui", pages.Files(Path(swagger_ui_path)), name="swagger-ui")
    app.mount("/docs", pages.Files(_API_PAGE), name="docs")
    app.add_route("/docs", _lead_to_docs, include_in_schema=False)
    rules = Rules(app.routes)
    if access is not None:
        app.add_middleware(Gate, rules=rules, access=access, refusal=problems.foreseen)
    app.add_middleware(Admission, hosts=hosts, refusal=problems.of_status)
    app.add_middleware(Observation, unexpected=problems.unexpected)
    return app


def access_of(settings: Settings) -> Access | None:
    """Return how one comes in; None where anybody may, which is for a loopback alone."""
    if settings.access_secret is None:
        return None
    secret = settings.access_secret.get_secret_value()
    sessions = Sessions(secret, is_https=settings.public_url.startswith("https:"))
    limit = RateLimit(settings.rate_per_second, max(1, int(2 * settings.rate_per_second)))
    return Access(sessions, Keyring(sessions), limit, _provider(settings, secret))


def _provider(settings: Settings, secret: str) -> "Provider | None":
    if settings.oidc_discovery_url is None:
        return None
    from evaluation_api.access.oidc import Provider  # noqa: PLC0415 - 20 MB that others spare

    return Provider(
        discovery_url=settings.oidc_discovery_url,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value(),
        scope=settings.oidc_scope,
        name_claim=settings.oidc_name_claim,
        groups_claim=settings.oidc_groups_claim,
        roles=settings.oidc_roles,
        public_url=settings.public_url,
        secret=secret,
    )


async def _lead_to_docs(_: Request) -> Response:
    return RedirectResponse("/docs/", HTTPStatus.PERMANENT_REDIRECT)


@asynccontextmanager
async def services_of(
    settings: Settings, access: Access | None, outage: Outage
) -> AsyncIterator[Services]:
    """Open everything that settings name, workers at work; close it in the end.

    access: is kept in step with the record. outage: is told whether it can be written.
    """
    policy, source = policy_file.read(settings.policy_path)
    async with AsyncExitStack() as stack:
        # Waits longer for a file: another start may be making the record.
        migrating = _connect(settings, stack, statement_seconds=CALL_SECONDS)
        schema.migrate(migrating)
        migrating.dispose()
        engine = _connect(
            settings, stack, busy_timeout_seconds=DECISION_SECONDS, statement_seconds=CALL_SECONDS
        )
        evaluations, policies, models = EvaluationLog(engine), PolicyLog(engine), ModelLog(engine)
        await asyncio.to_thread(policies.remember, policy.version, source)
        await asyncio.to_thread(database.fill_pool, engine)
        executor = await stack.enter_async_context(RecordExecutor(outage))
        appender = _appender(settings, stack, evaluations, executor)
        await stack.enter_async_context(appender)
        model = await stack.enter_async_context(model_for(policy, settings))
        evaluator = Evaluator(model, policy, appender, answers.answer, new_id=new_id, now=now)
        pending = PendingWorker(model, evaluator, PendingQueue(engine), executor)
        watch = ModelWatch(model, models, executor, partial(disclosure.tell_of_promise, policy))
        look = partial(executor.run_watch, database.require_writable, engine)
        record_watch = RecordWatch(executor.outage, look)
        searches = await stack.enter_async_context(
            Searches(_connect(settings, stack, statement_seconds=CALL_SECONDS), executor.outage)
        )
        sealer = await stack.enter_async_context(Sealer(engine))
        journal = await stack.enter_async_context(Journal(ChainLog(engine), executor))
        works = [pending.run(), watch.run(), record_watch.run()]
        works += [searches.run_index(), sealer.run(), journal.run()]
        credentials = CredentialLog(engine)
        if access is not None:
            credential_watch = CredentialWatch(credentials, executor, access.keyring)
            await credential_watch.look()
            works.append(credential_watch.run())
        for work in works:
            stack.push_async_callback(_stop, asyncio.create_task(work))
        yield Services(
            evaluator=evaluator,
            model=model,
            executor=executor,
            evaluations=evaluations,
            searches=searches,
            policies=policies,
            models=models,
            policy=policy,
            pending=pending,
            credentials=credentials,
            journal=journal,
        )


def _connect(settings: Settings, stack: AsyncExitStack, **options: Any) -> Engine:  # noqa: ANN401 - database.connect's
    engine = database.connect(settings.database_url.get_secret_value(), **options)
    stack.callback(engine.dispose)
    return engine


def _appender(
    settings: Settings, stack: AsyncExitStack, log: EvaluationLog, executor: RecordExecutor
) -> Appender:
    """Return what appends; where the record is a file, it has a second log that never waits.

    And the first is one of its own, so that neither's callers wait for a checkpoint.
    """
    no_wait_log = None
    if database.is_file(settings.database_url.get_secret_value()):
        no_wait, waiting = (
            _connect(settings, stack, busy_timeout_seconds=seconds, checkpoints=False)
            for seconds in (0, DECISION_SECONDS)
        )
        no_wait_log = EvaluationLog(stack.enter_context(database.kept(no_wait)), waits=False)
        log = EvaluationLog(waiting)
    return Appender(log, executor, max_waiting=settings.max_in_flight, no_wait_log=no_wait_log)


def model_for(
    policy: AnyPolicy, settings: Settings, transport: httpx.AsyncBaseTransport | None = None
) -> ModelClient:
    """Return a client of the model service that looks for what this policy would approve.

    transport: another than our own; httpx.AsyncHTTPTransport() answers the same, less quickly.
    """
    deadline_seconds = settings.model_deadline_seconds
    is_https = settings.model_url.startswith("https:")
    transport = transport or KeptAliveTransport(
        # What is left of the deadline is enough to ask another replica.
        read_timeout_seconds=0.45 * deadline_seconds,
        verify=ssl.create_default_context() if is_https else None,
    )
    return ModelClient(
        transport,
        settings.model_url,
        targets=policy.targets,
        margin=policy.margin,
        spans=policy.spans,
        deadline_seconds=deadline_seconds,
        circuit=Circuit(),
        max_waiting=settings.max_in_flight,
        token=settings.model_token.get_secret_value() if settings.model_token else None,
    )


async def _stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

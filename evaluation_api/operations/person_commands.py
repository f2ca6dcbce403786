"""A person's rights: person export, correct, erase (LGPD, art. 18). Knows no SQL.

Evaluations are named by their ids, by their protocols, or by the Idempotency-Key they came with.
"""

import argparse
import asyncio
import json
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass

from evaluation_api import app
from evaluation_api.decision import policy_file
from evaluation_api.decision.domain import FEATURES, Applicant, Entry, FirstUse
from evaluation_api.decision.evaluation import Evaluator
from evaluation_api.decision.policy_file import AnyPolicy
from evaluation_api.model.client import ModelClient
from evaluation_api.operations.persons import PersonError, Persons
from evaluation_api.operations.terminal import Commands, confirmed, record_of
from evaluation_api.record.evaluations import EvaluationLog
from evaluation_api.record.policies import PolicyLog
from evaluation_api.runtime.identity import new_id, now
from evaluation_api.settings import Settings
from evaluation_api.web import answers, requests


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("person", help="what a person may ask for of their data")
    which = parser.add_subparsers(metavar="WHAT", required=True)

    exporting = which.add_parser("export", help="print all that is held, as JSON")
    exporting.set_defaults(run=_export)

    correcting = which.add_parser("correct", help="evaluate anew, in the place of an evaluation")
    correcting.add_argument("--name", help="another name")
    for feature in FEATURES:
        correcting.add_argument(f"--{feature.replace('_', '-')}", type=float, metavar="AMOUNT")
    correcting.set_defaults(run=_correct)

    erasing = which.add_parser("erase", help="take a person out of evaluations, for good")
    erasing.add_argument("--yes", action="store_true", help="do not ask")
    erasing.set_defaults(run=_erase)

    for one in (exporting, erasing):
        one.add_argument("evaluations", nargs="+", metavar="ID_PROTOCOL_OR_KEY")
    correcting.add_argument("evaluation", metavar="ID_PROTOCOL_OR_KEY")


def _evaluations_of(persons: Persons, chosen: argparse.Namespace) -> list[str]:
    """Return what was named, with what corrects it and what it corrects, oldest first."""
    found = {persons.find(named) for named in chosen.evaluations}
    return sorted({one for named in found for one in persons.same_person(named)})


def _export(chosen: argparse.Namespace, settings: Settings) -> int:
    with record_of(settings) as engine:
        persons, log = Persons(engine), EvaluationLog(engine)
        ids = _evaluations_of(persons, chosen)
        held = [
            {
                **json.loads(answers.recorded(log.find(one))),
                "chaves": persons.keys(one),
                "arquivos": persons.files(one),
            }
            for one in ids
        ]
        persons.note_export(ids)
    print(json.dumps(held, ensure_ascii=False, indent=2))
    return 0


def _correct(chosen: argparse.Namespace, settings: Settings) -> int:
    with record_of(settings) as engine:
        identity = Persons(engine).find(chosen.evaluation)
        recorded = EvaluationLog(engine).find(identity)
        if recorded.erased_at is not None:
            raise PersonError(f"{identity}: was erased, and there is nothing to correct")
        record = _InPlaceOf(Persons(engine), identity)
        policy, source = policy_file.read(settings.policy_path)
        PolicyLog(engine).remember(policy.version, source)
        applicant = _corrected(recorded.applicant, chosen)
        if applicant == recorded.applicant:  # its reviews would count no more, for nothing
            raise PersonError(f"{identity}: nothing is told otherwise; say what: --name, --balance")
        opened = app.model_for(policy, settings)
        made = _evaluated(record, policy, opened, applicant, recorded.made_by)
        answer = asyncio.run(made)
    print(answer)
    return 0


def _corrected(applicant: Applicant, chosen: argparse.Namespace) -> Applicant:
    """Return a person with what is told otherwise. Raises InvalidRequestError, as POST /avaliar."""
    told = {name: getattr(chosen, name) for name in ("name", *FEATURES)}
    known = {"name": applicant.name, **asdict(applicant.usage)}
    body = known | {name: value for name, value in told.items() if value is not None}
    return requests.applicant_of(requests.read_applicant_body(json.dumps(body).encode()))


async def _evaluated(
    record: "_InPlaceOf",
    policy: AnyPolicy,
    opened: AbstractAsyncContextManager[ModelClient],
    applicant: Applicant,
    made_by: str | None,
) -> str | None:
    async with opened as model:
        evaluator = Evaluator(model, policy, record, answers.answer, new_id=new_id, now=now)
        return (await evaluator.evaluate(applicant, made_by=made_by)).answer


@dataclass(frozen=True)
class _InPlaceOf:
    """Records one evaluation, in the place of another."""

    persons: Persons
    evaluation_id: str

    async def append(self, entry: Entry) -> FirstUse | None:
        self.persons.correct(self.evaluation_id, entry)
        return None

    async def find_by_key(self, _key: str) -> FirstUse | None:
        return None


def _erase(chosen: argparse.Namespace, settings: Settings) -> int:
    with record_of(settings) as engine:
        persons = Persons(engine)
        ids = _evaluations_of(persons, chosen)
        print(f"{len(ids)} evaluations: {', '.join(ids)}")
        if not (chosen.yes or confirmed()):
            print("Nothing was erased.")
            return 0
        files = persons.erase(ids)
    for file in files:
        print(f"File {file}: what was sent and its result are gone; its other clients are not.")
    print("Erased. Backups keep what was recorded until they are deleted.")
    return 0

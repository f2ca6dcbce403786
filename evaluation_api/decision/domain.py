"""The words of the business: who applies, what the model says of them, what is decided.

Plain values from the standard library. Knows nothing of HTTP, SQL, TOML or Portuguese sentences.
Those made anew for each evaluation are tuples: frozen dataclasses take three times as long to make.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from evaluation_api.decision.promise import Promise

#: The five amounts in the order the model takes them. The model service has its own list behind
#: the process boundary; tests/integration compares the two.
FEATURES = ("balance", "purchases", "cash_advance", "credit_limit", "payments")

CLUSTERS = range(5)


class Outcome(StrEnum):
    """What the policy can answer; the values are the contract's, the policy file's and SQL's."""

    APPROVED = "aprovado"
    MANUAL_REVIEW = "analise_manual"
    REFUSED = "recusado"


@dataclass(frozen=True, slots=True)
class CardUsage:
    """Five amounts about a client's use of a card, all in one currency, each >= 0."""

    balance: float
    purchases: float
    cash_advance: float
    credit_limit: float
    payments: float


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who asks to become a client."""

    name: str
    usage: CardUsage


class Counterfactual(NamedTuple):
    """One amount changed, and where the model then places the client.

    until: the farthest amount, the same way, up to which every other one leads there too; None
    where that is as far as the policy goes, or not known.
    """

    feature: str
    amount: float
    cluster: int
    confidence: float
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """Which model answered: its explicit version in the store and the sha256 of its pickle.

    promise: what its geometry rules out, where it says so; no part of which model it is.
    """

    tag: str
    sha256: str
    promise: Promise | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Bound:
    """A number that was measured of a model, and what it had to reach, or must not pass."""

    what: str
    value: float
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """By whom a model was published, when (RFC 3339) and why."""

    by: str
    at: str
    why: str


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What the model service tells of how a model was made, measured and approved.

    data: what it was trained on, by name, its sha256 among it. scores, stability: by name.
    """

    data: dict[str, str] | None = None
    scores: dict[str, float] | None = None
    stability: dict[str, float] | None = None
    limits: tuple[Bound, ...] | None = None
    approved: Approval | None = None


@dataclass(frozen=True, slots=True)
class Geometry:
    """The model in service, as far as it can be drawn.

    centroids: 5 x 5 by label, on the unit sphere; sizes: clients per label in training. Both
    None for a model without geometry. card: None where the model service tells none.
    """

    model: Model
    features: tuple[str, ...]
    centroids: tuple[tuple[float, ...], ...] | None = None
    sizes: tuple[int, ...] | None = None
    card: ModelCard | None = None


class Prediction(NamedTuple):
    """What the model says of one client.

    confidence: (d2 - d1) / (d2 + d1) in [0, 1], 0 on the border to runner_up.
    contributions: by feature; they add up to d2^2 - d1^2, positive ones speak for the cluster.
    counterfactuals: least change first. All four are empty for a model without geometry.
    """

    cluster: int
    model: Model
    runner_up: int | None = None
    confidence: float | None = None
    contributions: Mapping[str, float] | None = None
    counterfactuals: tuple[Counterfactual, ...] = ()


class Facts(NamedTuple):
    """What is true of a client's own card use, whatever a model says.

    use: balance / limit. paid: payments / balance, None where nothing to speak of is owed.
    withdrawn: cash_advance / limit. poor: use is high and little was paid. unpaid: next to nothing
    was paid. From when on is the policy's to say.
    """

    use: float
    paid: float | None
    withdrawn: float
    poor: bool
    unpaid: bool


class AdverseFact(NamedTuple):
    """An adverse fact: a stable code, the amount it is about, its share, the policy's reference."""

    code: str
    feature: str
    value: float
    reference: float


@dataclass(frozen=True, slots=True)
class Excess:
    """An amount outside the training range. times_the_limit: None where bound is an amount."""

    feature: str
    amount: float
    bound: float
    times_the_limit: float | None = None


class Decision(NamedTuple):
    """What the policy makes of a prediction.

    remarks: the keys of the policy's rules that apply, in the policy's order. counterfactual: the
    smallest change of one amount that the policy would approve, if any. facts, adverse, excesses:
    of a policy that knows facts; adverse facts only where this is no approval. unpromised: a person
    decides in place of a refusal, since the promise does not hold for the model.
    """

    outcome: Outcome
    policy_version: str
    remarks: tuple[str, ...] = ()
    counterfactual: Counterfactual | None = None
    facts: Facts | None = None
    adverse: tuple[AdverseFact, ...] = ()
    excesses: tuple[Excess, ...] = ()
    unpromised: bool = False


class Evaluation(NamedTuple):
    """An applicant, what the model said, what was decided, and when.

    milliseconds: from receipt to decision.
    """

    id: str
    applicant: Applicant
    prediction: Prediction
    decision: Decision
    evaluated_at: datetime
    milliseconds: float


class ReviewReason(StrEnum):
    """Why a person decides, to be counted; their words stand beside it."""

    INCOME = "renda"
    DOCUMENTS = "documentos"
    RELATIONSHIP = "relacionamento"
    WRONG_DATA = "dados_incorretos"
    OTHER_RISK = "outro_risco"
    OTHER = "outro"


@dataclass(frozen=True, slots=True)
class Review:
    """A person's decision; it stands beside the machine's, never in its place.

    reason: a ReviewReason; of another release maybe another, of the last one None.
    """

    id: str
    evaluation_id: str
    outcome: Outcome
    justification: str
    reviewer: str
    reviewed_at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A caller's promise that requests with this key are one.

    key: as it is kept (own_key). fingerprint: the sha256 of what is asked.
    """

    key: str
    fingerprint: str


def own_key(sent: str, caller: str | None) -> str:
    """Return what a key is kept as: behind who sent it, where they had to say who they are.

    No two callers then share one, whatever they send; there is no space in what is sent.
    """
    return sent if caller is None else f"{caller} {sent}"


def sent_key(own: str) -> tuple[str, str | None]:
    """Return a key as it was sent, and by whom."""
    caller, _, sent = own.rpartition(" ")
    return sent, caller or None


@dataclass(frozen=True, slots=True)
class FirstUse:
    """The evaluation that used a key first. answer: as it was given, None while pending."""

    id: str
    fingerprint: str
    answer: str | None


class Entry(NamedTuple):
    """What the record keeps of one request. Pending while evaluation and answer are None.

    answer: the JSON that was given, byte for byte. degraded: the model was away at receipt.
    made_by: who asked, where they had to say.
    """

    id: str
    received_at: datetime
    applicant: Applicant
    evaluation: Evaluation | None = None
    answer: str | None = None
    degraded: bool = False
    idempotency_key: IdempotencyKey | None = None
    made_by: str | None = None


@dataclass(frozen=True, slots=True)
class UsedPolicy:
    """A policy that decided in a record: its file, and since when."""

    text: str
    first_used_at: datetime


class Position(NamedTuple):
    """A place in the order of commits; rows of one commit may share a number."""

    number: int
    id: str


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of the history. final_outcome: the last review's, else the machine's.

    erased_at: when the person was taken out of it. corrected_by: the one that counts in its place.
    """

    id: str
    position: int
    received_at: datetime
    name: str
    cluster: int | None
    confidence: float | None
    outcome: Outcome | None
    final_outcome: Outcome | None
    reviews: int
    erased_at: datetime | None = None
    corrected_by: str | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """What part of the history to look at; each None means any. Times are half-open.

    after: has it read from the oldest to the newest, as far as no earlier one can come any more.
    """

    limit: int
    before_id: str | None = None
    after: Position | None = None
    outcome: Outcome | None = None
    cluster: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """One evaluation as the record has it: what came in, what was answered, what people decided.

    answer: the JSON that was given, byte for byte. stored_decision: what stands in its place for
    a client out of a file, who was given none yet. Both, and what follows, are None while it waits.
    erased_at: when the person was taken out of it. corrects: the evaluation in whose place it
    stands. corrected_by: the one that stands in its own, and counts for it.
    """

    id: str
    received_at: datetime
    applicant: Applicant
    degraded: bool
    made_by: str | None = None
    answer: str | None = None
    evaluated_at: datetime | None = None
    cluster: int | None = None
    confidence: float | None = None
    outcome: Outcome | None = None
    model_tag: str | None = None
    model_sha256: str | None = None
    policy_version: str | None = None
    reviews: tuple[Review, ...] = ()
    stored_decision: "StoredDecision | None" = None
    erased_at: datetime | None = None
    corrects: str | None = None
    corrected_by: str | None = None

    @property
    def pending(self) -> bool:
        """Whether it still waits for the model."""
        return self.outcome is None

    @property
    def final_outcome(self) -> Outcome | None:
        """The last person's decision, else the machine's, else nothing yet."""
        return self.reviews[-1].outcome if self.reviews else self.outcome


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decided evaluation without its answer: all that it is made of but what Recorded has.

    policy_text: the file of the policy that decided.
    """

    prediction: Prediction
    policy_text: str
    milliseconds: float

"""Reads the policy from its TOML file, and says which line is wrong and why.

The file is an analyst's, so its keys are Portuguese; this is where they become the policy's.
Policies of the grammar before, which name no facts, are read as well.
"""

import hashlib
import re
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

from evaluation_api.decision import errors, toml_table
from evaluation_api.decision.domain import CLUSTERS, CardUsage, Model, Outcome, Prediction
from evaluation_api.decision.earlier_policy import ProfilePolicy
from evaluation_api.decision.facts import Thresholds
from evaluation_api.decision.limits import LARGEST_AMOUNT
from evaluation_api.decision.policy import FactPolicy, Near, Profile, TrainingRange
from evaluation_api.decision.promise import Promise
from evaluation_api.decision.references import References
from evaluation_api.decision.sentences import NAMES
from evaluation_api.decision.toml_table import Table

#: A policy of either grammar; both are used as FactPolicy is.
AnyPolicy = FactPolicy | ProfilePolicy

DEFAULT = Path(__file__).with_name("politica.toml")

_SHA256: Final = re.compile("[0-9a-f]{64}")


def read(path: Path) -> tuple[AnyPolicy, str]:
    """Read a policy file and return it with its text, which the record keeps for replays.

    Raises PolicyError naming the line and the reason.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # as Notepad may save it
    except OSError as exc:
        raise errors.PolicyError(f"{path}: cannot be read: {exc}") from exc
    except UnicodeDecodeError as exc:
        line = 1 + exc.object.count(b"\n", 0, exc.start)
        raise errors.PolicyError(
            f"{path}: linha {line}: não está em UTF-8; salve o arquivo de novo como UTF-8"
        ) from exc
    try:
        return parse(text), text
    except errors.PolicyError as exc:
        raise errors.PolicyError(f"{path}: {exc}") from exc


@lru_cache(maxsize=8)
def parse(text: str) -> AnyPolicy:
    """Make a policy of a file's text. Raises PolicyError naming the line and the reason."""
    root = toml_table.parse(text)
    version = version_of(text)
    policy = _fact_policy(version, root) if root.has("fatos") else _profile_policy(version, root)
    root.refuse_others()
    return policy


def version_of(text: str) -> str:
    """Return the version that a file's text makes: the first 12 figures of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _fact_policy(version: str, root: Table) -> FactPolicy:
    """Make a policy of the present grammar, and try the cases that it names."""
    policy = FactPolicy(
        version=version,
        name=root.text("nome"),
        valid_from=root.date("vigente_desde"),
        profiles=root.read("perfis", partial(_profiles, by_facts=True)),
        thresholds=root.read("fatos", _thresholds),
        references=root.read("referencias", _references),
        near=root.read("fronteira", _near),
        training_range=root.read("faixa", _training_range),
        accepted_models=(
            root.read("promessa", _accepted_models) if root.has("promessa") else frozenset()
        ),
        allows_own_reviews=root.flag("revisao_propria"),
    )
    for case in root.tables("casos"):
        _try(case, policy)
    return policy


def _profile_policy(version: str, root: Table) -> ProfilePolicy:
    """Make a policy of the grammar before policies knew facts; its decisions are still replayed."""
    near, if_near = root.read("fronteira", _deciding_border)
    return ProfilePolicy(
        version=version,
        name=root.text("nome"),
        valid_from=root.date("vigente_desde"),
        profiles=root.read("perfis", partial(_profiles, by_facts=False)),
        if_near=if_near,
        near=near,
        training_range=root.read("faixa", _training_range),
    )


def _profiles(table: Table, *, by_facts: bool) -> tuple[Profile, ...]:
    return tuple(
        table.read(str(cluster), partial(_profile, cluster, by_facts=by_facts))
        for cluster in CLUSTERS
    )


def _profile(cluster: int, table: Table, *, by_facts: bool) -> Profile:
    """Read a profile; without a line for adverse facts it is decided as without them."""
    outcome = table.outcome("decisao", *Outcome)
    if_poor, if_unpaid = (
        table.outcome(key, *Outcome) if by_facts and table.has(key) else outcome
        for key in ("decisao_se_ruim", "decisao_se_nada_pago")
    )
    return Profile(
        cluster=cluster,
        key=table.text("chave"),
        name=table.text("nome"),
        sentence=table.text("frase"),
        outcome=outcome,
        if_poor=if_poor,
        if_unpaid=if_unpaid,
    )


def _thresholds(table: Table) -> Thresholds:
    return Thresholds(
        high_use=table.share("uso_alto", high=2),
        low_paid=table.share("pouco_pago"),
        hardly_paid=table.share("quase_nada_pago"),
        settled=table.number("quitado_ate", 0, 1000),
    )


def _references(table: Table) -> References:
    return References(
        use=table.share("uso_do_limite", high=2),
        withdrawn=table.share("saques", high=20),
        low_paid=table.share("pouco_pago"),
        hardly_paid=table.share("quase_nada_pago"),
    )


def _near(table: Table) -> Near:
    return Near(table.number("confianca_minima", 0, 0.5), table.text("frase"))


def _deciding_border(table: Table) -> tuple[Near, Outcome]:
    if_near = table.outcome("decisao", Outcome.MANUAL_REVIEW, Outcome.REFUSED)
    return _near(table), if_near


def _accepted_models(table: Table) -> frozenset[str]:
    accepted = table.texts("modelos_aceitos")
    if not all(_SHA256.fullmatch(sha256) for sha256 in accepted):
        table.refuse("modelos_aceitos", "cada modelo é um sha256 de 64 dígitos hexadecimais")
    return frozenset(accepted)


def _try(case: Table, policy: FactPolicy) -> None:
    """Decide one client whose decision the file expects. Raises PolicyError when it is another.

    As of a model whose promise holds: whether it does is for the model in service to say.
    """
    amounts = {feature: case.number(name, 0, LARGEST_AMOUNT) for feature, name in NAMES.items()}
    if not amounts["credit_limit"]:
        case.refuse("limite_de_credito", "deve ser maior que zero")
    cluster = int(case.number("perfil", CLUSTERS.start, CLUSTERS.stop - 1))
    expected = case.outcome("decisao", *Outcome)
    case.refuse_others()
    prediction = Prediction(cluster, Model("", "", Promise(1, (0.0,) * len(CLUSTERS), ())))
    decided = policy.decide(CardUsage(**amounts), prediction).outcome
    if decided is not expected:
        case.refuse("decisao", f"este caso espera {expected}, e a política decide {decided}")


def _training_range(table: Table) -> TrainingRange:
    return TrainingRange(
        outcome=table.outcome("decisao", Outcome.MANUAL_REVIEW, Outcome.REFUSED),
        sentence=table.text("frase"),
        times_the_limit=table.amounts("vezes_o_limite", NAMES),
        maximum=table.amounts("maximo", NAMES),
    )

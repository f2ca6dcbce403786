"""What a trial of a policy finds."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from evaluation_api.decision.domain import FEATURES, Outcome
from evaluation_api.decision.facts import Share
from evaluation_api.decision.limits import LARGEST_AMOUNT
from portfolio import frames, lab, report, trials
from portfolio.files import writing
from portfolio.files.errors import UnreadableFileError
from portfolio.files.header import Choices
from portfolio.frames import Profiler
from tests.evaluations import EARLIER_POLICY, POLICY
from tests.unit.model_store.amounts import spread

CLIENTS = pd.DataFrame(spread(400), columns=list(FEATURES))
#: As the policy is, but that a use of 30 % is high.
STRICTER = replace(
    POLICY, version="stricter", thresholds=replace(POLICY.thresholds, high_use=Share.of(0.45))
)


def test_twins_behave_worse_and_differ_in_nothing_else() -> None:
    worse = lab.twins(CLIENTS, ["balance", "payments"], 0.5, np.random.default_rng(1))

    assert (worse["balance"] > CLIENTS["balance"]).all()
    assert (worse["balance"] <= CLIENTS["balance"] + 0.5 * CLIENTS["credit_limit"] + 0.02).all()
    assert (worse["payments"] <= CLIENTS["payments"]).all()
    kept = ["purchases", "cash_advance", "credit_limit"]
    pd.testing.assert_frame_equal(worse[kept], CLIENTS[kept])


def test_twins_by_multiples_of_their_own_amounts_do_not_begin_to_withdraw() -> None:
    clients = CLIENTS.assign(cash_advance=np.where(CLIENTS.index % 2, CLIENTS["cash_advance"], 0))
    worse = lab.twins(clients, ["cash_advance"], None, np.random.default_rng(1))

    assert (worse["cash_advance"] > clients["cash_advance"]).all()
    assert (worse["cash_advance"] <= 3 * clients["cash_advance"] + 0.02).all()


def test_a_twin_owes_no_more_than_anybody_can() -> None:
    large = CLIENTS.assign(balance=0.4 * LARGEST_AMOUNT)

    worse = lab.twins(large, ["balance"], None, np.random.default_rng(1))

    assert frames.is_decidable(worse).all()
    assert worse["balance"].max() == LARGEST_AMOUNT


def test_nobody_refused_does_better_by_behaving_worse_where_once_many_could(
    carried: Profiler,
) -> None:
    now = lab.better_by_worse(CLIENTS, POLICY, carried, 0.5)
    once = lab.better_by_worse(CLIENTS, EARLIER_POLICY, carried, 0.5)

    assert now["one_amount"]["refused_in_range"] == now["all_amounts"]["refused_in_range"] == 0
    assert now["one_amount_multiplied"]["refused_in_range"] == 0
    assert once["all_amounts"]["refused_in_range"] > 0
    assert once["one_amount"]["of_all"] > now["one_amount"]["of_all"]


def test_a_stricter_policy_is_crossed_with_the_present_one(carried: Profiler) -> None:
    trial = lab.Trial(
        CLIENTS,
        frames.evaluate(CLIENTS, POLICY, carried),
        frames.evaluate(CLIENTS, STRICTER, carried),
    )

    counts = np.array(lab.crossed(trial.before, trial.after))
    assert counts.sum() == len(CLIENTS)
    assert np.tril(counts, -1).sum() == 0
    assert trial.changed.sum() == np.triu(counts, 1).sum() > 0
    np.testing.assert_array_equal(np.sum([*lab.by_profile(trial).values()], axis=0), counts)
    assert lab.shares(trial.before)[Outcome.REFUSED] < lab.shares(trial.after)[Outcome.REFUSED]
    assert lab.contradicted(trial.after, STRICTER) == 0


def test_a_reason_that_the_facts_contradict_is_counted(carried: Profiler) -> None:
    decisions = frames.evaluate(CLIENTS, POLICY, carried)
    blamed = decisions["motivos"].astype(str).str.contains("uso_alto")

    assert lab.contradicted(decisions.assign(uso=0.1), POLICY) == blamed.sum() > 0


def decided(ranks: list[int]) -> pd.DataFrame:
    """Make decisions of these ranks, all of one profile."""
    outcomes = pd.Categorical.from_codes(ranks, list(map(str, frames.OUTCOMES)))
    return pd.DataFrame({"decisao": outcomes, "perfil": np.int8(3)})


def test_what_is_known_of_outcomes_agrees_with_scikit_learn() -> None:
    random = np.random.default_rng(5)
    ranks = random.integers(0, 3, 3000)
    defaulted = (random.random(3000) < 0.1 + 0.1 * ranks).astype(float)

    found = lab.fared(decided(ranks.tolist()), pd.Series(defaulted))

    assert found["auc"]["value"] == pytest.approx(roc_auc_score(defaulted, ranks))
    assert found["auc"]["low"] < found["auc"]["value"] < found["auc"]["high"]
    false, true, _ = roc_curve(defaulted, ranks, drop_intermediate=False)
    assert found["ks"] == pytest.approx(np.abs(true - false).max())
    rate = found["by_decision"][Outcome.REFUSED]
    assert rate["value"] == pytest.approx(defaulted[ranks == 2].mean())
    assert rate["low"] < rate["value"] < rate["high"]


def test_clients_without_an_outcome_are_left_out_and_nobody_has_no_rate() -> None:
    found = lab.fared(decided([0, 0, 2]), pd.Series([0.0, 1.0, np.nan]))

    assert found["clients"] == 2
    assert found["by_decision"][Outcome.REFUSED] == {
        "n": 0,
        "value": None,
        "low": None,
        "high": None,
    }


@pytest.mark.parametrize("outcomes", [[1.0, 1.0, 1.0], [0.0, 0.0, np.nan], [np.nan] * 3])
def test_where_all_fared_alike_nothing_tells_them_apart(outcomes: list[float]) -> None:
    found = lab.fared(decided([0, 1, 2]), pd.Series(outcomes))

    assert found["auc"] == {"value": None, "low": None, "high": None}
    assert found["ks"] is None


def test_groups_are_compared_by_their_approvals_and_small_ones_only_told() -> None:
    decisions = decided([0] * 150 + [2] * 50 + [0] * 50 + [1] * 50 + [2] * 10)
    groups = pd.Series(["a"] * 200 + ["b"] * 100 + ["c"] * 10)

    found = lab.groups(decisions, groups)

    assert found["approved"]["c"]["value"] == 0
    ratio = found["least_against_greatest"]
    assert ratio["value"] == pytest.approx(0.5 / 0.75)
    assert ratio["low"] < ratio["value"] < ratio["high"]


def test_ages_are_compared_in_bands() -> None:
    ages = pd.Series([str(20 + n % 50) for n in range(1000)])

    found = lab.groups(decided([n % 2 for n in range(1000)]), ages)

    assert list(found["approved"]) == ["20 to 29", "30 to 39", "40 to 49", "50 to 59", "60 to 69"]


def test_groups_of_which_nobody_is_approved_are_told_and_not_compared() -> None:
    found = lab.groups(decided([2] * 200), pd.Series(["a", "b"] * 100))

    assert found["approved"]["a"]["value"] == 0
    assert found["least_against_greatest"] is None


@pytest.mark.parametrize("unknown", ["", " ", "-inf", "n/d"])
def test_an_age_that_is_not_known_leaves_the_others_in_bands(unknown: str) -> None:
    ages = pd.Series([unknown, *(f"{20 + n % 50},0" for n in range(1000))])

    found = lab.groups(decided([n % 2 for n in range(1001)]), ages)

    bands = ["20 to 29", "30 to 39", "40 to 49", "50 to 59", "60 to 69"]
    assert sorted(found["approved"]) == sorted([unknown, *bands])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a file of clients with an outcome, a group and one line that is no client."""
    table = CLIENTS.assign(
        name=[f"Cliente {n}" for n in range(len(CLIENTS))],
        default=[n % 3 == 0 for n in range(len(CLIENTS))],
        region=["north" if n % 2 else "south" for n in range(len(CLIENTS))],
    ).astype({"default": int})
    table.to_csv(tmp_path / "clients.csv", index=False)
    with (tmp_path / "clients.csv").open("a") as lines:
        lines.write("-1,0,0,10,0,Errado,0,north\n")
    return tmp_path / "clients.csv"


def test_a_trial_of_a_file_finds_it_all_and_says_it(file: Path, carried: Profiler) -> None:
    extra = trials.Extra("default", "region")

    clients = trials.read(file, Choices({}), None, extra)
    found, changes = trials.run(clients, POLICY, STRICTER, carried, 0.5)

    assert (found["clients"], found["faulty_lines"]) == (len(CLIENTS), 1)
    assert found["changed"] == len(changes) > 0
    assert changes["name"].str.fullmatch(r"Cliente \d+").all()
    assert set(found["group"]["approved"]) == {"north", "south"}
    said = report.text(found)
    assert f"{found['changed']:,} decisions change" in said
    assert "AUC of the decision" in said
    assert "least against greatest" in said
    assert max(map(len, said.splitlines())) <= 100
    report.draw(found, file.with_suffix(".svg"))
    assert file.with_suffix(".svg").read_text().startswith("<?xml")


def test_what_cannot_be_said_of_an_outcome_is_left_out_of_the_text(
    file: Path, carried: Profiler
) -> None:
    lines = file.read_text().replace("north", "\x1b[31m").splitlines()
    file.write_text("\n".join([lines[0], *(line for line in lines if ",1," in line), ""]))

    clients = trials.read(file, Choices({}), None, trials.Extra("default", "region"))
    found, _ = trials.run(clients, POLICY, POLICY, carried, 0.5)

    said = report.text(found)
    assert "AUC" not in said
    assert "nan" not in said
    assert "\x1b" not in said
    json.dumps(found, allow_nan=False)


def test_a_column_that_is_not_there_and_a_file_of_nobody_are_refused(file: Path) -> None:
    with pytest.raises(UnreadableFileError, match=r"não tem a coluna “pago”"):
        trials.read(file, Choices({}), None, trials.Extra("pago"))
    file.write_text("name,balance,purchases,cash_advance,credit_limit,payments\nX,-1,0,0,10,0\n")
    with pytest.raises(UnreadableFileError, match=r"Nenhuma linha"):
        trials.read(file, Choices({}), None, trials.Extra())


def test_who_changes_is_listed_so_that_no_spreadsheet_runs_a_name(tmp_path: Path) -> None:
    changes = pd.DataFrame({"line": [2, 3], "name": ["=1+1", "Bia, a"]})

    writing.write_frame(changes, tmp_path / "changes.csv")

    written = (tmp_path / "changes.csv").read_text("utf-8").splitlines()
    assert written[1:] == ["2,'=1+1", '3,"Bia, a"']


def test_who_changes_is_written_for_its_owner_alone_and_through_no_link(tmp_path: Path) -> None:
    target, other = tmp_path / "changes.csv", tmp_path / "other"
    other.write_text("mine")
    other.chmod(0o644)
    target.symlink_to(other)

    writing.write_frame(pd.DataFrame({"name": ["Ana"]}), target)

    assert (target.read_text(), target.is_symlink()) == ("name\nAna\n", False)
    assert target.stat().st_mode & 0o777 == 0o600
    assert other.read_text() == "mine"

"""Publishing: what a version must fulfil, what the history keeps, and the walks round the gate."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from model_store import archive, promotion, publications, registry, rules, training, version
from model_store.errors import (
    CorruptModel,
    LedgerBroken,
    ModelNotFound,
    ModelStoreError,
    NoClosedForm,
    PromotionRefused,
)
from model_store.features import FEATURES
from model_store.ledger import Ledger, Pin
from model_store.numbers import Numbers, digest
from model_store.pickles import inspection
from model_store.pickles.pickle_file import sha256_of
from tests.unit.model_store.test_archive import packed

WHY = "as the test says"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return a place for a history of the test's own, with nothing published."""
    (tmp_path / "publishing").mkdir()
    return Ledger(tmp_path / "publishing")


@pytest.fixture
def published(imported: str, ledger: Ledger) -> str:
    """Return the tag of the fitted model, published."""
    promotion.promote(imported, WHY, ledger=ledger)
    return imported


def brought_in(estimator: object, path: Path) -> str:
    joblib.dump(estimator, path)
    return registry.import_pickle(path, inspection.describe, FEATURES)[0]


def retrained(clients: NDArray[np.float64]) -> Pipeline:
    return training.fit(clients[::2])


def permuted(clients: NDArray[np.float64]) -> Pipeline:
    model = training.fit(clients)
    model[-1].cluster_centers_ = model[-1].cluster_centers_[[1, 0, 2, 3, 4]].copy()
    return model


def moved(clients: NDArray[np.float64], by: float = 0.1) -> Pipeline:
    model = training.fit(clients)
    model[-1].cluster_centers_[3] += by
    return model


def starved(clients: NDArray[np.float64]) -> Pipeline:
    return training.fit(np.vstack([np.repeat(clients[:60], 40, axis=0), clients[60:]]))


def of_unknown_sizes(clients: NDArray[np.float64]) -> Pipeline:
    model = training.fit(clients)
    del model[-1].labels_
    return model


def nearer_to_each_others_place(clients: NDArray[np.float64]) -> Pipeline:
    """Return a model that obeys the meaning rule, though its 0 and 3 lie where 3 and 0 lay."""
    model = training.fit(clients)
    model[-1].cluster_centers_[0] = [0.30, 0.05, 0.05, 0.98, 0.05]
    model[-1].cluster_centers_[3] = [0.12, 0.05, 0.05, 0.60, 0.05]
    return model


def turning_on_one_amount(clients: NDArray[np.float64]) -> Pipeline:
    """Return the same centroids in a space where one amount is all that counts."""
    model = training.fit(clients)
    centroids, labels = model[-1].cluster_centers_, model[-1].labels_
    scaler = StandardScaler().fit(clients)
    scaler.mean_ = np.zeros(5)
    scaler.scale_ = np.array([1.0, 1e5, 1e5, 1e5, 1e5])
    kmeans = KMeans(5, n_init=1, random_state=0).fit(scaler.transform(clients))
    kmeans.cluster_centers_, kmeans.labels_ = centroids, labels
    return Pipeline([("s", scaler), ("k", kmeans)])


def test_a_retrained_model_is_published_and_rolled_back(
    published: str, ledger: Ledger, clients: NDArray[np.float64], tmp_path: Path
) -> None:
    better = brought_in(retrained(clients), tmp_path / "better.pkl")

    assert promotion.promote(published, WHY, ledger=ledger) is None
    promoted = promotion.promote(better, "trained anew", by="ana", ledger=ledger)
    assert promoted
    assert tag_of(ledger) == better

    entry = promotion.rollback("it was worse", ledger=ledger)
    assert tag_of(ledger) == entry.version.tag == published
    assert entry.replaces == promoted.version
    with pytest.raises(PromotionRefused, match="No version was published before"):
        promotion.rollback(WHY, ledger=ledger)


def tag_of(ledger: Ledger) -> str:
    pin, _ = ledger.published()
    assert pin
    return pin.tag


def test_a_trial_writes_nothing_not_even_what_a_broken_off_command_left_undone(
    published: str, ledger: Ledger, clients: NDArray[np.float64], tmp_path: Path
) -> None:
    better = brought_in(retrained(clients), tmp_path / "better.pkl")
    ledger.production.unlink()
    before = {path: path.read_bytes() for path in ledger.production.parent.rglob("*.*")}

    with ledger.locked():  # as another command, or a folder that nobody may write to
        meant = promotion.promote(better, WHY, ledger=ledger, dry=True)
        assert promotion.promote(published, WHY, ledger=ledger, dry=True) is None

    assert meant
    assert {path: path.read_bytes() for path in ledger.production.parent.rglob("*.*")} == before
    assert not ledger.production.exists()


def test_a_line_says_who_when_why_and_every_number_against_its_limit(
    published: str, ledger: Ledger, clients: NDArray[np.float64], tmp_path: Path
) -> None:
    better = brought_in(retrained(clients), tmp_path / "better.pkl")
    meant = promotion.promote(better, "trained anew", by="ana", ledger=ledger, dry=True)
    assert meant
    assert tag_of(ledger) == published

    promotion.promote(better, " trained \n anew ", by="ana", ledger=ledger)

    line = json.loads((ledger.production.parent / "ledger.jsonl").read_text().splitlines()[1])
    assert line.pop("previous")
    assert line.pop("at")[:10] == meant.at[:10]
    assert line == {key: value for key, value in meant.as_json().items() if key != "at"}
    assert (line["by"], line["why"]) == ("ana", "trained anew")
    assert line["replaces"]["tag"] == line["baseline"]["tag"] == published
    assert len(line["version"]["digest"]) == 64
    assert len(line["measured"]) == 4 + 5 + 2 + 5 + 1
    assert all({"at_least", "at_most"} & one.keys() for one in line["measured"])
    assert np.shape(line["labels"]) == (5, 5)
    assert np.trace(line["labels"]) > 0.9 * np.sum(line["labels"])
    assert 0 < line["farthest_move"] < rules.FARTHEST_MOVE
    assert line["promise"]["wrong_way"]
    assert line["importer"]["scikit-learn"]


@pytest.mark.parametrize("why", ["", "  \n ", "x" * 301, "red \x1b[31m"])
def test_nothing_is_published_without_a_reason(imported: str, ledger: Ledger, why: str) -> None:
    with pytest.raises(PromotionRefused, match="Say why"):
        promotion.promote(imported, why, ledger=ledger)
    assert ledger.published()[0] is None


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (permuted, "earn the labels 0 to 4"),
        (nearer_to_each_others_place, r"match .* in the order \[3, 1, 2, 0, 4\], not 0 to 4"),
        (moved, "the centroid of label 3 moved by 0.224, over 0.15"),
        (starved, "profile 1 holds 1.1% of the clients"),
        (of_unknown_sizes, "the file has no labels_"),
        (turning_on_one_amount, "clients that keep their label: .*, under 95%"),
    ],
)
def test_a_model_whose_labels_moved_is_not_published(  # noqa: PLR0913, PLR0917 - fixtures
    candidate: Callable[[NDArray[np.float64]], Pipeline],
    reason: str,
    published: str,
    ledger: Ledger,
    clients: NDArray[np.float64],
    tmp_path: Path,
) -> None:
    tag = brought_in(candidate(clients), tmp_path / "candidate.pkl")

    with pytest.raises(PromotionRefused, match=reason):
        promotion.promote(tag, WHY, ledger=ledger)

    assert tag_of(ledger) == published
    assert len(ledger.history().entries) == 1


def test_who_numbered_the_clusters_by_chance_is_told_what_puts_them_in_order(
    models_home: Path, clients: NDArray[np.float64], ledger: Ledger, tmp_path: Path
) -> None:
    assert models_home
    model = training.fit(clients)
    kmeans: KMeans = model[-1]
    kmeans.cluster_centers_ = kmeans.cluster_centers_[[3, 0, 4, 2, 1]].copy()
    kmeans.labels_ = kmeans.predict(model[0].transform(clients))
    tag = brought_in(model, tmp_path / "by_chance.pkl")
    with pytest.raises(PromotionRefused) as refused:
        promotion.promote(tag, WHY, ledger=ledger)

    lines = str(refused.value).removesuffix(".").partition("before you save it, ")[2]
    exec(lines, {"kmeans": kmeans, "numpy": np})  # noqa: S102 - our own sentence, obeyed

    assert len(str(refused.value)) <= 300
    promotion.promote(brought_in(model, tmp_path / "in_order.pkl"), WHY, ledger=ledger)
    assert model.predict(clients).tolist() == training.fit(clients).predict(clients).tolist()


def test_a_model_without_a_closed_form_is_not_published(
    published: str, ledger: Ledger, clients: NDArray[np.float64], tmp_path: Path
) -> None:
    """It may plant a rule on one amount that no sample of clients meets."""
    steps = [("q", QuantileTransformer(n_quantiles=20)), ("k", KMeans(5, n_init=1))]
    tag = brought_in(Pipeline(steps).fit(clients), tmp_path / "candidate.pkl")

    with pytest.raises(NoClosedForm, match="not published"):
        promotion.promote(tag, WHY, ledger=ledger)

    assert tag_of(ledger) == published


def test_seven_small_steps_lead_no_farther_than_one(
    published: str, ledger: Ledger, clients: NDArray[np.float64], tmp_path: Path
) -> None:
    refused = []
    for step in range(1, 8):
        tag = brought_in(moved(clients, step * 0.02), tmp_path / f"step-{step}.pkl")
        try:
            promotion.promote(tag, WHY, ledger=ledger)
        except PromotionRefused as refusal:
            refused.append((step, str(refusal)))

    assert [step for step, _ in refused] == [*range(refused[0][0], 8)]
    assert 2 <= refused[0][0] <= 4
    assert ledger.history().baseline == ledger.history().pins[published]


def test_a_baseline_is_moved_by_hand_and_says_why(
    published: str, ledger: Ledger, clients: NDArray[np.float64], tmp_path: Path
) -> None:
    far = brought_in(moved(clients), tmp_path / "far.pkl")
    with pytest.raises(PromotionRefused):
        promotion.promote(far, WHY, ledger=ledger)

    entry = promotion.set_baseline(far, "the clients changed", by="ana", ledger=ledger)

    assert entry.replaces
    assert entry.replaces.tag == published
    assert entry.told["farthest_move"] > rules.FARTHEST_MOVE
    assert tag_of(ledger) == published
    promotion.promote(far, WHY, ledger=ledger)
    assert tag_of(ledger) == far
    lost = brought_in(of_unknown_sizes(clients), tmp_path / "lost.pkl")
    with pytest.raises(PromotionRefused, match="the file has no labels_"):
        promotion.set_baseline(lost, WHY, ledger=ledger)


def test_a_candidate_is_not_measured_against_an_edited_production(
    published: str, ledger: Ledger, clients: NDArray[np.float64], tmp_path: Path
) -> None:
    far = brought_in(moved(clients), tmp_path / "far.pkl")
    pin = Pin(far, registry.load(far).digest)
    ledger.production.write_text(f"{pin.tag} {pin.digest}\n")

    with pytest.raises(LedgerBroken, match="the last line"):
        publications.choose(ledger)
    with pytest.raises(PromotionRefused):
        promotion.promote(far, WHY, ledger=ledger)
    assert promotion.promote(published, WHY, ledger=ledger) is None  # which settles it
    assert tag_of(ledger) == published


def test_there_is_no_list_of_previous_versions_to_edit(
    published: str, ledger: Ledger, clients: NDArray[np.float64], tmp_path: Path
) -> None:
    far = brought_in(moved(clients), tmp_path / "far.pkl")
    previous = ledger.production.with_name("production.previous")
    previous.write_text(f"{far}\n")

    with pytest.raises(PromotionRefused, match="No version was published before"):
        promotion.rollback(WHY, ledger=ledger)
    assert tag_of(ledger) == published


PROMOTE = """
import sys
from pathlib import Path
from model_store import promotion
from model_store.errors import PromotionRefused
from model_store.ledger import Ledger

try:
    promotion.promote(sys.argv[1], "at once", ledger=Ledger(Path(sys.argv[2])))
except PromotionRefused as refusal:
    sys.exit(str(refusal))
"""


def test_two_promotions_at_once_leave_one(
    published: str, ledger: Ledger, clients: NDArray[np.float64], tmp_path: Path, models_home: Path
) -> None:
    tags = [
        brought_in(training.fit(clients[start::2]), tmp_path / f"{start}.pkl") for start in (0, 1)
    ]
    environment = os.environ | {"BENTOML_HOME": str(models_home.parent.parent)}
    command = [sys.executable, "-c", PROMOTE]
    at_once = [
        subprocess.Popen([*command, tag, str(ledger.production.parent)], env=environment)
        for tag in tags
    ]
    codes = [process.wait(60) for process in at_once]

    pin, history = ledger.published()
    assert pin
    assert pin.tag in tags
    assert 0 in codes
    assert len(history.entries) == 1 + codes.count(0)
    assert published == history.entries[0].version.tag


def edit_centroids(folder: Path) -> None:
    file = folder / version.NUMBERS_NAME
    told = json.loads(file.read_text())
    told["centroids"][0][0] += 0.01
    file.write_text(json.dumps(told))


def edit_golden_clients(folder: Path) -> None:
    file = folder / version.GOLDEN_NAME
    table = json.loads(file.read_text())
    table["clients"] = table["clients"][:5]
    file.write_text(json.dumps(table))


def sealed_again(folder: Path, tag: str) -> None:
    """Write the digest that an edited folder has, as whoever knows how it is made would."""
    metadata = archive.metadata(tag, (folder / "model.yaml").read_bytes())
    content = (folder / version.PICKLE_NAME).read_bytes()
    numbers = Numbers.from_json(json.loads((folder / version.NUMBERS_NAME).read_text()))
    golden = (folder / version.GOLDEN_NAME).read_text()
    sealed = digest(sha256_of(content), numbers, metadata, golden)
    text = (folder / "model.yaml").read_text()
    (folder / "model.yaml").write_text(text.replace(metadata["digest"], sealed))


@pytest.mark.parametrize("edit", [edit_centroids, edit_golden_clients])
def test_what_was_edited_under_the_same_tag_is_not_served_and_not_published(
    published: str, ledger: Ledger, models_home: Path, edit: Callable[[Path], None]
) -> None:
    folder = models_home / published.partition(":")[2]
    edit(folder)
    shutil.rmtree(ledger.archives)  # out of which it would be mended
    choice = publications.choose(ledger)
    with pytest.raises(CorruptModel):
        publications.load(choice, ledger)

    sealed_again(folder, published)

    assert registry.load(published)
    with pytest.raises(CorruptModel, match="not what was published"):
        publications.load(choice, ledger)
    with pytest.raises(PromotionRefused, match="not what was published"):
        promotion.promote(published, WHY, ledger=ledger)


def test_another_model_under_the_same_twelve_digits_is_not_served(
    published: str, ledger: Ledger, models_home: Path, clients: NDArray[np.float64], tmp_path: Path
) -> None:
    """Two models with one tag were found in 77 s; here the tag alone is what they share."""
    other = brought_in(moved(clients, 0.01), tmp_path / "other.pkl")
    colliding = models_home / published.partition(":")[2]
    for name in (version.PICKLE_NAME, version.NUMBERS_NAME, version.GOLDEN_NAME, "model.yaml"):
        content = (models_home / other.partition(":")[2] / name).read_bytes()
        (colliding / name).write_bytes(
            content.replace(other.partition(":")[2].encode(), published.partition(":")[2].encode())
        )
    shutil.rmtree(ledger.archives)

    with pytest.raises(CorruptModel):
        publications.load(publications.choose(ledger), ledger)
    with pytest.raises(ModelStoreError):
        promotion.promote(published, WHY, ledger=ledger)


def test_what_is_tried_is_not_published_and_says_so(
    published: str,
    ledger: Ledger,
    clients: NDArray[np.float64],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    choice = publications.choose(ledger)
    assert (choice.tag, choice.told_tag) == (published, published)
    far = brought_in(moved(clients), tmp_path / "far.pkl")

    monkeypatch.setenv(version.TAG_VARIABLE, far)

    choice = publications.choose(ledger)
    assert choice.entry is None
    assert choice.told_tag == f"{far} (not published)"
    assert publications.load(choice, ledger).tag == far


def test_nothing_published_says_what_to_run(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(version.TAG_VARIABLE, raising=False)

    with pytest.raises(ModelStoreError, match="python -m model_store promote"):
        publications.choose(ledger)
    with pytest.raises(ModelStoreError, match="python -m model_store promote"):
        publications.bring_published(ledger)


def test_a_published_version_travels_to_a_store_that_never_saw_it(
    published: str, ledger: Ledger, models_home: Path, clients: NDArray[np.float64], tmp_path: Path
) -> None:
    promotion.promote(brought_in(retrained(clients), tmp_path / "b.pkl"), WHY, ledger=ledger)
    forget_everything(models_home)

    bring = partial(publications.bring_published, ledger, inspection.describe)
    assert bring() == (tag_of(ledger), True)
    assert bring() == (tag_of(ledger), False)
    as_a_disk_spoilt_it(models_home / tag_of(ledger).partition(":")[2])
    assert bring() == (tag_of(ledger), True)
    entry = promotion.rollback(WHY, ledger=ledger)

    assert entry.version.tag == published == tag_of(ledger)
    assert set(registry.list_versions()) == {*ledger.history().pins}


def forget_everything(models_home: Path) -> None:
    for tag in registry.list_versions():
        (models_home / tag.partition(":")[2]).rename(models_home.parent.parent / tag)


def test_the_same_version_gives_the_same_archive(published: str, ledger: Ledger) -> None:
    pin = ledger.history().pins[published]
    path = archive.path_of(published, ledger.archives)
    once = path.read_bytes()

    archive.write(pin, ledger.archives)

    assert path.read_bytes() == once
    assert len(once) < 10_000
    assert [file.name for file in ledger.archives.iterdir()] == [path.name]


def test_what_a_killed_command_left_goes_with_the_next(
    published: str, ledger: Ledger, clients: NDArray[np.float64], tmp_path: Path
) -> None:
    left = [ledger.archives / ".unfinished.part", ledger.production.with_name(".unfinished.part")]
    for path in left:
        path.write_bytes(b"half of it")

    promotion.promote(brought_in(retrained(clients), tmp_path / "b.pkl"), WHY, ledger=ledger)

    assert published != tag_of(ledger)
    assert not any(path.exists() for path in left)


@pytest.mark.parametrize("name", ["archives", "production"])
def test_what_cannot_be_written_is_named_and_leaves_nothing(
    name: str, published: str, ledger: Ledger, clients: NDArray[np.float64], tmp_path: Path
) -> None:
    better = brought_in(retrained(clients), tmp_path / "b.pkl")
    place = {"production": ledger.production, "archives": archive.path_of(better, ledger.archives)}
    place[name].unlink(missing_ok=True)
    place[name].mkdir()

    with pytest.raises(OSError, match=str(place[name])):
        promotion.promote(better, WHY, ledger=ledger)

    assert published
    assert not [*ledger.production.parent.rglob("*.part")]


def test_an_archive_that_is_lost_is_written_again_by_whatever_publishes_its_version(
    published: str, ledger: Ledger, clients: NDArray[np.float64], tmp_path: Path
) -> None:
    path = archive.path_of(published, ledger.archives)
    once = path.read_bytes()
    path.unlink()

    assert promotion.promote(published, WHY, ledger=ledger, dry=True) is None
    assert not path.exists()
    assert promotion.promote(published, WHY, ledger=ledger) is None
    assert path.read_bytes() == once

    promotion.promote(brought_in(retrained(clients), tmp_path / "b.pkl"), WHY, ledger=ledger)
    path.unlink()
    assert promotion.rollback(WHY, ledger=ledger).version.tag == published
    assert path.read_bytes() == once


def another_pickle(files: dict[str, bytes]) -> dict[str, bytes]:
    return files | {"model.pkl": b"cos\nsystem\n(S'touch it-ran'\ntR."}


def other_golden_clients(files: dict[str, bytes]) -> dict[str, bytes]:
    return files | {"golden.json": files["golden.json"].replace(b"1", b"2")}


def aliases(files: dict[str, bytes]) -> dict[str, bytes]:
    return files | {"model.yaml": b"name: a\nversion: b\nmetadata: {a: &a [1], b: [*a, *a]}\n"}


def of_another_version(files: dict[str, bytes]) -> dict[str, bytes]:
    return files | {"model.yaml": files["model.yaml"].replace(b"version: ", b"version: 00", 1)}


def test_an_archive_is_trusted_in_nothing(
    published: str, ledger: Ledger, models_home: Path, tmp_path: Path
) -> None:
    path = archive.path_of(published, ledger.archives)
    honest = archive.members(path)
    forget_everything(models_home)

    for spoil, says in (
        (another_pickle, "corrupt"),
        (other_golden_clients, "corrupt|not what was published"),
        (aliases, "not ours"),
        (of_another_version, "holds another version"),
    ):
        path.write_bytes(packed(spoil(honest)))
        with pytest.raises(CorruptModel, match=says):
            publications.load(publications.choose(ledger), ledger)

    path.write_bytes(packed(honest))
    other = ledger.history().published
    assert other
    with pytest.raises(CorruptModel, match="not what was published"):
        publications.bring(Pin(other.tag, "0" * 64), ledger, inspection.describe)
    with pytest.raises(CorruptModel, match="not what was published"):
        publications.bring(other, ledger, lambda content, **_: {"numbers": len(content)})
    assert registry.list_versions() == []
    assert not (tmp_path / "it-ran").exists()


def test_what_an_earlier_release_imported_is_replaced_by_what_was_published(
    published: str, ledger: Ledger, models_home: Path
) -> None:
    as_the_last_release_imported_it(models_home / published.partition(":")[2])

    assert publications.bring_published(ledger, inspection.describe) == (published, True)

    assert publications.load(publications.choose(ledger), ledger).is_sealed


@pytest.fixture
def noted(
    models_home: Path,
    ledger: Ledger,
    fitted: Pipeline,
    clients: NDArray[np.float64],
    tmp_path: Path,
) -> Pin:
    """Return what was published with the notes of its training, whose pickle is at model.pkl."""
    assert models_home.parent.is_dir()
    path = tmp_path / "trained.pkl"
    training.save(training.TrainedModel(fitted, clients, {"sha256": "ab" * 32}), path)
    tag, _ = publications.import_pickle(path, None, ledger, inspection.describe)
    promotion.promote(tag, WHY, ledger=ledger)
    (tmp_path / "model.pkl").write_bytes(path.read_bytes())
    return ledger.history().pins[tag]


def as_imported(_folder: Path) -> None:
    pass


def as_never_imported(folder: Path) -> None:
    shutil.rmtree(folder)


def as_a_killed_import_left_it(folder: Path) -> None:
    (folder / version.GOLDEN_NAME).unlink()


def as_a_disk_spoilt_it(folder: Path) -> None:
    (folder / version.NUMBERS_NAME).write_text("{}")


def as_the_last_release_imported_it(folder: Path) -> None:
    (folder / version.NUMBERS_NAME).unlink()
    text = (folder / "model.yaml").read_text()
    (folder / "model.yaml").write_text(text.replace("digest:", "former:"))


def as_imported_without_its_notes(folder: Path) -> None:
    shutil.rmtree(folder)
    path = folder.parent.parent.parent / "there.pkl"
    path.write_bytes((path.parent.parent / "model.pkl").read_bytes())
    registry.import_pickle(path, inspection.describe, FEATURES)


@pytest.mark.parametrize(
    "leave",
    [
        as_imported,
        as_never_imported,
        as_a_killed_import_left_it,
        as_a_disk_spoilt_it,
        as_the_last_release_imported_it,
        as_imported_without_its_notes,
    ],
)
@pytest.mark.parametrize("name", ["model.pkl", "trained.pkl"])
def test_a_pickle_that_was_published_is_imported_as_it_was_published(  # noqa: PLR0913, PLR0917 - fixtures
    noted: Pin,
    ledger: Ledger,
    models_home: Path,
    tmp_path: Path,
    leave: Callable[[Path], None],
    name: str,
) -> None:
    leave(models_home / noted.tag.partition(":")[2])

    tag, created = publications.import_pickle(
        tmp_path / name, None if name == "trained.pkl" else FEATURES, ledger, inspection.describe
    )

    assert (tag, created) == (noted.tag, leave is not as_imported)
    assert publications.load(publications.choose(ledger), ledger).digest == noted.digest
    assert promotion.promote(tag, WHY, ledger=ledger) is None


def test_a_pickle_that_was_published_and_has_no_archive_is_imported_with_a_warning(
    noted: Pin, ledger: Ledger, models_home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    archive.path_of(noted.tag, ledger.archives).unlink()
    forget_everything(models_home)
    bring_in = partial(publications.import_pickle, ledger=ledger, inspect=inspection.describe)

    assert bring_in(tmp_path / "model.pkl", FEATURES) == (noted.tag, True)
    assert "was published as something else, and published/ lacks its archive" in caplog.text
    with pytest.raises(PromotionRefused, match=r"import` with its pickle"):
        promotion.promote(noted.tag, WHY, ledger=ledger)

    shutil.rmtree(models_home / noted.tag.partition(":")[2])
    caplog.clear()
    assert bring_in(tmp_path / "trained.pkl") == (noted.tag, True)
    assert "something else" not in caplog.text
    assert promotion.promote(noted.tag, WHY, ledger=ledger) is None


def test_a_version_without_an_archive_is_named(
    published: str, ledger: Ledger, models_home: Path
) -> None:
    archive.path_of(published, ledger.archives).unlink()
    forget_everything(models_home)

    with pytest.raises(ModelNotFound, match=r"Neither the store nor published/"):
        publications.bring_published(ledger)


def test_the_shipped_model_is_published_by_its_line_and_travels(models_home: Path) -> None:
    shipped = Ledger()
    pin, history = shipped.published()
    assert pin
    version_of_pickle = registry.version_of(registry.DEFAULT_PICKLE.read_bytes())

    brought = publications.bring_published(shipped, inspection.describe)

    assert brought == (pin.tag, True)
    assert brought[0] == f"{registry.NAME}:{version_of_pickle}"
    assert history.since
    assert publications.pinned(pin, shipped).pickle_path.read_bytes() == (
        registry.DEFAULT_PICKLE.read_bytes()
    )
    assert models_home.is_dir()

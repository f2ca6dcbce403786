"""The history of what was published holds together, or nothing is read from it."""

import hashlib
import json
import resource
from pathlib import Path

import pytest

from model_store.errors import LedgerBroken, PromotionRefused
from model_store.ledger import MAX_BYTES, Action, Entry, Ledger, Pin, replacing

ONE, TWO, THREE = (Pin(f"credit_card_clusters:{d * 12}", d * 64) for d in "123")


def entry(action: Action, version: Pin, **told: object) -> Entry:
    return Entry(action, version, None, "2026-11-26T12:00:00Z", "ana@here", "a reason", told)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return a history of two publications, the second taken back, and one more."""
    ledger = Ledger(tmp_path)
    with ledger.locked():
        for action, version in (("promote", ONE), ("promote", TWO), ("rollback", ONE)):
            ledger.append(entry(action, version, measured=[1]))  # type: ignore[arg-type]
        ledger.append(entry("promote", THREE))
    return ledger


def lines(ledger: Ledger) -> Path:
    return ledger.production.with_name("ledger.jsonl")


def test_what_was_written_is_read(ledger: Ledger) -> None:
    history = ledger.history()

    assert [one.action for one in history.entries] == ["promote", "promote", "rollback", "promote"]
    assert history.entries[0] == entry("promote", ONE, measured=[1])
    assert [one.version for one in history.standing] == [ONE, THREE]
    assert history.baseline == ONE
    assert set(history.pins.values()) == {ONE, TWO, THREE}
    assert ledger.published() == (THREE, history)
    last = hashlib.sha256(lines(ledger).read_bytes().splitlines()[-1]).hexdigest()
    assert ledger.production.read_text() == f"{THREE.tag} {THREE.digest} {last}\n"


def test_a_history_of_nothing_publishes_nothing(tmp_path: Path) -> None:
    assert Ledger(tmp_path).published()[0] is None


def without_second(content: bytes) -> bytes:
    return b"".join(line for i, line in enumerate(content.splitlines(keepends=True)) if i != 1)


def swapped(content: bytes) -> bytes:
    first, second, *others = content.splitlines(keepends=True)
    return b"".join([second, first, *others])


def last_line_edited(content: bytes) -> bytes:
    before, _, after = content.rpartition(b"a reason")
    return before + b"a raisin" + after


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda content: content.replace(b"a reason", b"a raisin", 1), "Line 2 .* does not follow"),
        (lambda content: content.replace(b"[1]", b"[2]", 1), "Line 2 .* does not follow"),
        (without_second, "Line 2 .* does not follow"),
        (swapped, "Line 1 .* does not follow"),
        (lambda content: content.replace(b"rollback", b"rewrite"), "Line 3 .* no line of ours"),
        (lambda content: content.replace(b'"why"', b'"who"', 1), "Line 1 .* no line of ours"),
        (lambda content: b"{}\n" + content, "Line 1 .* no line of ours"),
        (lambda content: b"\xff\xfe\n" + content, "Line 1 .* no line of ours"),
        (lambda content: b"[" * 100_000 + b"\n" + content, "Line 1 .* no line of ours"),
        (lambda content: content + b" " * MAX_BYTES, "is over"),
        (lambda content: content.rstrip(b"\n").rpartition(b"\n")[0] + b"\n", "publishes .*:1111"),
        (last_line_edited, "last line .* edited, or one was taken out"),
        (lambda _: b"", "has no line that publishes it"),
    ],
)
def test_a_history_that_was_tampered_with_publishes_nothing_in_one_sentence(
    ledger: Ledger, spoil: object, says: str
) -> None:
    file = lines(ledger)
    file.write_bytes(spoil(file.read_bytes()))  # type: ignore[operator]

    with pytest.raises(LedgerBroken, match=says) as refusal:
        ledger.published()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "named",
    [f"{TWO.tag} {TWO.digest}", f"{THREE.tag} {TWO.digest}", THREE.tag, "", "\x1b[31m" * 200],
    ids=["another", "another's digest", "no digest", "empty", "escapes"],
)
def test_an_edited_production_publishes_nothing_in_one_sentence(ledger: Ledger, named: str) -> None:
    ledger.production.write_text(f"{named}\n")

    with pytest.raises(LedgerBroken, match=f"the last line .* publishes {THREE.tag}") as refusal:
        ledger.published()
    assert str(refusal.value).isprintable()


def test_a_baseline_that_was_taken_out_is_missed(ledger: Ledger) -> None:
    """It publishes nothing, so that `production` names the same version with it and without."""
    before = lines(ledger).read_bytes()
    with ledger.locked():
        ledger.append(entry("baseline", TWO))
    assert ledger.published()[1].baseline == TWO
    lines(ledger).write_bytes(before)

    with pytest.raises(LedgerBroken, match=f"taken out.*promote {THREE.tag} --why REASON"):
        ledger.published()


def test_a_missing_production_is_written_again_by_whoever_publishes(ledger: Ledger) -> None:
    ledger.production.unlink()
    with pytest.raises(LedgerBroken, match="is missing"):
        ledger.published()

    with ledger.locked():
        ledger.settle()

    assert ledger.published()[0] == THREE


def test_a_line_that_was_cut_off_was_never_published(ledger: Ledger) -> None:
    with lines(ledger).open("ab") as file:
        file.write(b'{"action": "promote", "ver')

    assert ledger.published()[0] == THREE
    with ledger.locked():
        ledger.append(entry("promote", TWO))
    assert ledger.published()[0] == TWO


def test_a_last_line_whose_end_an_editor_took_away_stays(ledger: Ledger) -> None:
    before = lines(ledger).read_bytes()
    lines(ledger).write_bytes(before.rstrip(b"\n"))

    assert ledger.published()[0] == THREE
    with ledger.locked():
        ledger.append(entry("promote", TWO))
    assert lines(ledger).read_bytes().startswith(before)
    assert ledger.published()[0] == TWO


def test_what_finds_no_room_is_named(ledger: Ledger) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ledger.locked():
        resource.setrlimit(resource.RLIMIT_FSIZE, (lines(ledger).stat().st_size + 10, before[1]))
        try:
            with pytest.raises(OSError, match="too large") as told:
                ledger.append(entry("promote", TWO))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert told.value.filename == str(lines(ledger))
    assert ledger.history().published == THREE


def test_only_one_publishes_at_a_time(ledger: Ledger) -> None:
    with (
        ledger.locked(),
        pytest.raises(PromotionRefused, match="Another command is publishing"),
        Ledger(ledger.production.parent).locked(),
    ):
        pass
    with ledger.locked():
        pass


def test_a_line_is_json_that_names_the_line_before(ledger: Ledger) -> None:
    first, second = map(json.loads, lines(ledger).read_text().splitlines()[:2])

    assert first["previous"] == "0" * 64
    assert len(second["previous"]) == 64
    assert first["version"] == {"tag": ONE.tag, "digest": ONE.digest}


def test_a_place_that_nothing_can_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "production"

    with pytest.raises(NotADirectoryError, match=str(place)), replacing(place) as unfinished:
        unfinished.touch()

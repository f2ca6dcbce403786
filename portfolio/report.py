"""What a trial of a policy found, as text for a terminal, as JSON, and as one plot."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from portfolio.files import room
from portfolio.frames import OUTCOMES, SHORT_OUTCOMES

#: Control characters other than a line feed.
_OBEYED: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def text(found: Mapping[str, Any]) -> str:
    """Return the findings as lines of at most 100 characters."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['clients']:,} clients; before: {found['before']}, after: {found['after']}"
    for when in ("shares_before", "shares_after"):
        yield f"{when.removeprefix('shares_'):<8}{_percents(found[when])}"
    yield f"{found['changed']:,} decisions change"
    yield from _table("all", found["crossed"])
    for profile, counts in found["by_profile"].items():
        yield from _table(f"profile {profile}", counts)
    if found["by_reason"]:
        yield "reasons of what is no approval, after"
        for reason, outcomes in found["by_reason"].items():
            counted = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items())
            yield f"  {reason or '(out of range alone)':<40}{counted}"
    yield f"{found['contradicted']} reasons that the client's own shares contradict"
    if "better_by_worse" in found:
        yield from _better(found["better_by_worse"])
    if "outcome" in found:
        yield from _fared(found["outcome"])
    if "group" in found:
        yield from _groups(found["group"])


def _percents(shares: Mapping[str, float]) -> str:
    named = zip(SHORT_OUTCOMES, shares.values(), strict=True)
    return " / ".join(f"{share:.1%} {name}" for name, share in named)


def _table(title: str, counts: Sequence[Sequence[int]]) -> Iterator[str]:
    """Write decisions before (rows) and after (columns)."""
    yield f"  {title:<18}" + "".join(f"{name:>12}" for name in SHORT_OUTCOMES)
    for name, row in zip(SHORT_OUTCOMES, counts, strict=True):
        yield f"    {name:<16}" + "".join(f"{count:>12,}" for count in row)


def _better(found: Mapping[str, Any]) -> Iterator[str]:
    tried = f"{found['clients']:,} clients, {found['twins']} twins each"
    yield f"who would do better by behaving worse ({tried}, by up to {found['reach']:g} limits)"
    for kind in ("one_amount", "all_amounts", "one_amount_multiplied"):
        of = found[kind]
        yield (
            f"  {kind.replace('_', ' '):<23}{of['of_all']:.2%} of all, {of['left_to_a_person']:.2%}"
            f" left to a person, {of['refused_in_range']} refused in range"
        )


def _fared(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['clients']:,} with a known outcome: default rate, 95 %"
    rates = [
        (SHORT_OUTCOMES[OUTCOMES.index(name)], one) for name, one in found["by_decision"].items()
    ]
    rates += [(f"profile {name}", one) for name, one in found["by_profile"].items()]
    for name, one in rates:
        yield f"  {name:<16}{_rate(one)}"
    auc = found["auc"]
    if auc["value"] is None:
        return
    bounds = f"({auc['low']:.3f} to {auc['high']:.3f})"
    yield f"  AUC of the decision {auc['value']:.3f} {bounds}, KS {found['ks']:.3f}"


def _groups(found: Mapping[str, Any]) -> Iterator[str]:
    yield "approval rate by group, 95 %"
    for name, one in found["approved"].items():
        yield f"  {readable(name) or '(none)':<16}{_rate(one)}"
    if ratio := found["least_against_greatest"]:
        bounds = f"({ratio['low']:.2f} to {ratio['high']:.2f})"
        yield f"  least against greatest {ratio['value']:.2f} {bounds}"


def readable(text: str) -> str:
    """Return what a file says without what a terminal would obey."""
    return _OBEYED.sub("\ufffd", text)


def _rate(one: Mapping[str, Any]) -> str:
    if one["value"] is None:
        return "nobody"
    return f"{one['value']:.1%} ({one['low']:.1%} to {one['high']:.1%}) of {one['n']:,}"


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Draw the decisions before and after, profile by profile. Raises OSError."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - takes half a second

    figure, axes = plt.subplots(1, len(found["by_profile"]), sharey=True, figsize=(10, 3))
    for axis, (profile, counts) in zip(
        [axes] if len(found["by_profile"]) == 1 else axes, found["by_profile"].items(), strict=True
    ):
        total = sum(map(sum, counts))
        sides = [[sum(row) for row in counts], [sum(c) for c in zip(*counts, strict=True)]]
        bottom = [0.0, 0.0]
        for place, name in enumerate(SHORT_OUTCOMES):
            heights = [side[place] / total for side in sides]
            axis.bar(["before", "after"], heights, bottom=bottom, label=name)
            bottom = [b + h for b, h in zip(bottom, heights, strict=True)]
        axis.set_title(f"profile {profile}")
    figure.legend(*axis.get_legend_handles_labels(), loc="lower center", ncols=3)
    figure.tight_layout(rect=(0, 0.1, 1, 1))
    with room.naming(path):
        figure.savefig(path)
    plt.close(figure)

"""What goes into the documentation, and what must not."""

import argparse

import pytest

from bench import experiments
from bench.report import publication

PAGE = (
    "# Page\n<!-- bench system -->\nold\n<!-- end -->\nText\n<!-- bench model -->\n<!-- end -->\n"
)


def test_a_section_is_replaced_and_its_neighbours_are_left_alone() -> None:
    page = publication.with_section(PAGE, "system", "| new |")

    assert page == PAGE.replace("old\n", "\n| new |\n\n")
    assert publication.with_section(page, "system", "| new |") == page


def test_a_page_without_the_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for replicas"):
        publication.with_section(PAGE, "replicas", "| new |")


def test_the_page_has_a_place_for_each_experiment() -> None:
    page = publication.PAGE.read_text()

    for name in experiments.EXPERIMENTS:
        assert publication.with_section(page, name, "| new |").count("| new |") == 1


@pytest.mark.parametrize(
    ("seconds", "only", "connections", "expected"),
    [
        (5.0, None, None, True),
        (1.0, None, None, False),
        (5.0, ["system"], None, False),
        (5.0, None, [64], False),
    ],
)
def test_only_a_whole_run_is_published(
    seconds: float, only: list[str] | None, connections: list[int] | None, *, expected: bool
) -> None:
    arguments = argparse.Namespace(seconds=seconds, only=only, connections=connections)

    assert publication.is_whole(arguments) is expected

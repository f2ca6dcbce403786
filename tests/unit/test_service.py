"""What service.py may import. import-linter takes packages only, and the Bento is a module."""

import ast
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def imported(source: str) -> set[str]:
    """Return the top-level packages that a source imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(source)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    others = {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in plain | others}


def test_the_bento_knows_the_model_owners_half_and_nothing_of_who_asks() -> None:
    packages = imported((PROJECT / "service.py").read_text()) - sys.stdlib_module_names

    assert packages == {"anyio", "bentoml", "model_store"}

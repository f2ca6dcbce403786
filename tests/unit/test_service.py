"""What import-linter cannot hold, as service.py is a module and no package."""

import ast

from tests.services import PROJECT


def test_the_model_service_imports_nothing_of_who_asks_or_measures() -> None:
    imported = set()
    for node in ast.walk(ast.parse((PROJECT / "service.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])

    assert imported == {"anyio", "bentoml", "model_store"}

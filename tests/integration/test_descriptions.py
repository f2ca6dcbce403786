"""What both services say of themselves in OpenAPI is what they do: asked in every way it allows.

At least 100 cases of each, the same ones each time; `make fuzz` asks 2,000 others.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from evaluation_api.runtime.identity import new_id
from tests.services import Server

JSON = {"Content-Type": "application/json"}
CASES = int(os.environ.get("FUZZ_CASES", "100"))
#: The same each time but for `make fuzz`.
SEED = () if "FUZZ_CASES" in os.environ else ("--seed", "7")
#: No description can say what is refused of a well-formed request for what it means: a name without
#: a letter, a key that is taken, a file without the columns.
BEYOND_A_DESCRIPTION = "positive_data_acceptance"


def check(server: Server, path: str, folder: Path, *options: str) -> None:
    """Ask a service as its description says, and count how often. options: schemathesis's."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", "--no-color", *SEED),
        *("--phases", "examples,coverage,fuzzing", "--generation-database", "none"),
        *("--request-timeout", "10", "--suppress-health-check", "all"),
        *("--exclude-checks", BEYOND_A_DESCRIPTION, *options),
        f"{server.url}{path}",
    ]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    asked = re.search(r"(\d+) generated", ran.stdout)
    assert asked
    assert int(asked[1]) >= CASES


@pytest.mark.timeout(3600)
def test_the_evaluation_service_keeps_what_its_description_promises(
    evaluation_service: Server, tmp_path: Path
) -> None:
    check(evaluation_service, "/openapi.json", tmp_path, "--max-examples", str(CASES // 20))


@pytest.mark.timeout(3600)
def test_the_model_service_keeps_what_its_description_promises(
    model_service: Server, tmp_path: Path
) -> None:
    examples = max(CASES // 2, CASES - 250)  # some 320 more cases are of each kind of fault
    check(model_service, "/docs.json", tmp_path, "--max-examples", str(examples))


def test_what_a_body_is_refused_for_is_described_of_each_route(evaluation_service: Server) -> None:
    with httpx.Client(base_url=evaluation_service.url) as http:
        paths = http.get("/openapi.json").json()["paths"]
        posts = {path: ways["post"] for path, ways in paths.items() if "post" in ways}
        takers = {path: told for path, told in posts.items() if "requestBody" in told}
        for path, described in takers.items():
            address = path.replace("{file_id}", new_id()).replace("{evaluation_id}", new_id())
            wrong = [http.post(address, content="{", headers={"Content-Type": "text/html"})]
            if "application/json" in described["requestBody"]["content"]:
                wrong.append(http.post(address, content="{", headers=JSON))
                wrong.append(http.post(address, content=" " * 2**17, headers=JSON))
            for answer in wrong:
                told = described["responses"].get(str(answer.status_code), {})
                assert answer.json()["codigo"] in told.get("description", ""), path

    assert len(takers) >= 6

"""The texts of policies, by version."""

from sqlalchemy import Engine

from evaluation_api.record.policies import PolicyLog
from tests.evaluations import POLICY, POLICY_TEXT


def test_a_policy_is_remembered_once_with_its_text(engine: Engine) -> None:
    policies = PolicyLog(engine)
    for source in (POLICY_TEXT, "another text"):
        policies.remember(POLICY.version, source)

    assert policies.text(POLICY.version) == POLICY_TEXT
    assert policies.text("000000000000") is None


def test_policies_are_listed_with_their_first_use_the_newest_first(engine: Engine) -> None:
    policies = PolicyLog(engine)
    policies.remember("before", "one text")
    policies.remember("after", "another text")

    newest, oldest = policies.used()

    assert (newest.text, oldest.text) == ("another text", "one text")
    assert newest.first_used_at >= oldest.first_used_at

"""The tables of the decision record. Alembic's migrations make them; this says what they hold."""

from typing import Any, Final

import sqlalchemy as sa

from evaluation_api.decision.limits import LONGEST_KEY, LONGEST_LABEL, LONGEST_NAME, LONGEST_OWN_KEY

metadata = sa.MetaData()

#: The mark that says from which version on programs can read and write these tables.
READABLE_BY: Final = "readable_by"
#: From which version on programs find what evaluations have by number (versions.py).
NUMBERED_SINCE: Final = "0017"

_UUID = sa.String(36)
_WHEN = sa.DateTime(timezone=True)
#: domain.own_key; a file of SQLite's, where a width bounds nothing, has its first one.
_OWN_KEY = sa.String(LONGEST_KEY).with_variant(sa.String(LONGEST_OWN_KEY), "postgresql")


def _table(name: str, *parts: sa.Column[Any] | sa.Index) -> sa.Table:
    return sa.Table(name, metadata, *parts)


def _index_where(condition: str, name: str, *columns: str, on_file: str = "") -> sa.Index:
    """Index the rows of which a condition is true. on_file: the same as SQLite has it."""
    here, there = sa.text(on_file or condition), sa.text(condition)
    return sa.Index(name, *columns, postgresql_where=there, sqlite_where=here)


#: One row an evaluation, in the order of its UUIDv7 id, which is the order of receipt. Pending
#: rows have no decision yet; decided rows never change.
evaluations = _table(
    "evaluations",
    sa.Column("id", _UUID, primary_key=True),
    sa.Column("pending", sa.Boolean, nullable=False),
    sa.Column("received_at", _WHEN, nullable=False),
    sa.Column("name", sa.String(LONGEST_NAME), nullable=False),
    #: The name as it is searched for: names.fold of it.
    sa.Column("name_folded", sa.Text, nullable=False),
    sa.Column("balance", sa.Double, nullable=False),
    sa.Column("purchases", sa.Double, nullable=False),
    sa.Column("cash_advance", sa.Double, nullable=False),
    sa.Column("credit_limit", sa.Double, nullable=False),
    sa.Column("payments", sa.Double, nullable=False),
    #: Whether the model was away at receipt, so that the decision came later.
    sa.Column("degraded", sa.Boolean, nullable=False),
    #: Who asked for it (access.Identity.label); None where nobody had to say.
    sa.Column("made_by", sa.String(LONGEST_LABEL)),
    #: While pending: who evaluates it now may keep it until then.
    sa.Column("claimed_until", _WHEN),
    sa.Column("evaluated_at", _WHEN),
    sa.Column("milliseconds", sa.Double),
    sa.Column("cluster", sa.SmallInteger),
    sa.Column("confidence", sa.Double),
    sa.Column("outcome", sa.String(16)),
    #: These three are None, too, in rows that have them by number: see version.
    sa.Column("model_tag", sa.String(80)),
    sa.Column("model_sha256", sa.String(64)),
    sa.Column("policy_version", sa.String(12)),
    #: The answer as it was given, byte for byte, reasons included. None for a client
    #: out of a file, who was given nothing yet: the answer is made when read, of the prediction and
    #: the policy that decided it.
    sa.Column("answer", sa.Text),
    #: What the model said beyond cluster and confidence, packed; None where there is an answer.
    sa.Column("prediction", sa.Text),
    #: What the chain knows the row by (digests.py); None until the sealer comes by, in rows of a
    #: release that does not make them. The salt goes when the client is erased.
    sa.Column("salt", sa.LargeBinary),
    sa.Column("digest", sa.LargeBinary),
    #: The number of model and policy; None where the row has them itself.
    sa.Column("version", sa.Integer),
    #: When the client was taken out of it. What was decided, and by what, is left.
    sa.Column("erased_at", _WHEN),
    _index_where("pending", "pending_evaluations", "id", on_file="pending = 1"),
)

#: Model and policy of evaluations, once for all that have the same; no purge deletes them. No row
#: is bound to its line by a foreign key: on PostgreSQL whoever writes would lock that one line.
versions = _table(
    "versions",
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("model_tag", sa.String(80), nullable=False),
    sa.Column("model_sha256", sa.String(64), nullable=False),
    sa.Column("policy_version", sa.String(12), nullable=False),
)

#: Who used an Idempotency-Key first, and for what.
idempotency_keys = _table(
    "idempotency_keys",
    sa.Column("key", _OWN_KEY, primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column(
        "evaluation_id",
        _UUID,
        # Checked at the commit: the release before writes the key before the evaluation.
        sa.ForeignKey("evaluations.id", deferrable=True, initially="DEFERRED"),
        nullable=False,
        index=True,
    ),
)

#: The same for every other POST (posts.Operation), and what it made of which evaluation or file. A
#: file's fingerprint is empty until it has come in whole.
posts = _table(
    "posts",
    sa.Column("operation", sa.String(16), primary_key=True),
    sa.Column("key", _OWN_KEY, primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("subject_id", _UUID, nullable=False, index=True),
    sa.Column("made_id", _UUID, nullable=False),
)

#: What people decided; rows are only ever added.
reviews = _table(
    "reviews",
    sa.Column("id", _UUID, primary_key=True),
    sa.Column("evaluation_id", _UUID, sa.ForeignKey("evaluations.id"), nullable=False, index=True),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("justification", sa.Text, nullable=False),
    sa.Column("reviewer", sa.String(LONGEST_NAME), nullable=False),
    sa.Column("reviewed_at", _WHEN, nullable=False),
    #: Why, by a code that can be counted; None in reviews of a release that asked for none.
    sa.Column("reason", sa.String(40)),
    #: As an evaluation's, made by the sealer.
    sa.Column("salt", sa.LargeBinary),
    sa.Column("digest", sa.LargeBinary),
    _index_where("digest IS NULL", "undigested_reviews", "id"),
)

#: What was sealed and what was done, each entry with the hash of the one before (chain.py); rows
#: are only ever added. body: canonical JSON. hash: the SHA-256 of it, in hexadecimal.
chain = _table(
    "chain",
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("chain_kinds", "kind", "number"),
)

#: What was done and has no entry yet: written beside what it is about, as JSON.
chain_events = _table(
    "chain_events",
    sa.Column("id", _UUID, primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)

#: Evaluations that were sealed as they were received, before they were decided.
chain_waiting = _table("chain_waiting", sa.Column("evaluation_id", _UUID, primary_key=True))

#: Evaluations that do not count any more, and those that were made of the corrected clients.
corrections = _table(
    "corrections",
    sa.Column("evaluation_id", _UUID, sa.ForeignKey("evaluations.id"), primary_key=True),
    sa.Column("by_id", _UUID, sa.ForeignKey("evaluations.id"), nullable=False, unique=True),
)

#: What sealed evaluations were known by that a purge deleted. position: as callers are told it.
purged_digests = _table(
    "purged_digests",
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("evaluation_id", _UUID, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    #: The event that tells of it.
    sa.Column("event_id", _UUID, nullable=False),
)

#: What the tables themselves are told by.
marks = _table(
    "marks",
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

#: Every policy that ever decided here, so that a decision can be explained years later.
policies = _table(
    "policies",
    sa.Column("version", sa.String(12), primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("first_used_at", _WHEN, nullable=False),
)

#: Every model that was met, and what it said of itself, as JSON.
models = _table(
    "models",
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("tag", sa.String(80), nullable=False, index=True),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("first_met_at", _WHEN, nullable=False),
)

#: A CSV file of clients as the last release received it; portfolio/earlier_files.py makes a client
#: file of it.
batches = _table(
    "batches",
    sa.Column("id", _UUID, primary_key=True),
    #: The file's name, as its sender calls it.
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    #: While the file comes in: when it last did, so that what broke off can be told.
    sa.Column("changed_at", _WHEN, nullable=False),
    #: How the file is written and its first rows, as JSON; known once it is whole.
    sa.Column("dialect", sa.Text),
    sa.Column("sample", sa.Text),
    sa.Column("line_count", sa.Integer, nullable=False),
)

#: About 1,024 lines of a file each, in its order; evaluated and committed as one.
batch_chunks = _table(
    "batch_chunks",
    sa.Column("batch_id", _UUID, sa.ForeignKey("batches.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("line_count", sa.Integer, nullable=False),
    #: Who evaluates it now may keep it until then.
    sa.Column("claimed_until", _WHEN),
    sa.Column("settled_at", _WHEN),
    #: How the lines ended, counted, as JSON, so that a summary need not read the evaluations.
    sa.Column("tally", sa.Text),
    #: The lines as read, as JSON: [[line number, [cell, ...]], ...]. The long columns stand last,
    #: since SQLite reads through them to whatever stands after.
    sa.Column("lines", sa.Text, nullable=False),
    #: For each line, as JSON: its evaluation's id, or the field and the reason why it has none.
    sa.Column("endings", sa.Text),
    _index_where("settled_at IS NULL", "unsettled_chunks", "batch_id", "number"),
)

#: A file of clients that was recorded from a terminal, once for each time that somebody asked for
#: it anew. Its evaluations' ids follow from its own (portfolio/recording.py).
recorded_files = _table(
    "recorded_files",
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("id", _UUID, nullable=False),
    #: By what it is read and decided, as JSON.
    sa.Column("criteria", sa.Text, nullable=False),
    #: How many of its clients are, in its order.
    sa.Column("recorded", sa.BigInteger, nullable=False),
)

#: What lets somebody in (access.credentials).
credentials = _table(
    "credentials",
    sa.Column("id", _UUID, primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("name", sa.String(LONGEST_NAME), nullable=False),
    #: With a comma between two.
    sa.Column("roles", sa.String(120), nullable=False),
    sa.Column("made_at", _WHEN, nullable=False),
    sa.Column("expires_at", _WHEN, nullable=False),
    #: The SHA-256 of what was shown once; None for a session, which is signed.
    sa.Column("digest", sa.String(64), unique=True),
    #: How that begins.
    sa.Column("hint", sa.String(16), nullable=False),
    #: The last time, to the minute; of a link, the only one.
    sa.Column("used_at", _WHEN),
    sa.Column("revoked_at", _WHEN),
)

#: A file of clients as somebody sent it, and how far it is. state: client_file.State.
client_files = _table(
    "client_files",
    sa.Column("id", _UUID, primary_key=True),
    #: As its sender calls it.
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    #: While it comes in: when it last did, so that what broke off can be told.
    sa.Column("changed_at", _WHEN, nullable=False),
    #: Of what was sent, known once it is whole.
    sa.Column("sha256", sa.String(64), index=True),
    #: What a person chose, as JSON (client_file.Answers).
    sa.Column("answers", sa.Text),
    #: Whether it begins by itself when nothing is to be asked.
    sa.Column("starts_when_ready", sa.Boolean, nullable=False),
    #: Which worker has it, and until when unless it says so again.
    sa.Column("worker", _UUID),
    sa.Column("leased_until", _WHEN),
    #: How often it was taken since it last went on: what ends its workers must not do so for ever.
    sa.Column("attempts", sa.Integer, nullable=False),
    #: What it waits for, if for anything: client_file.Awaited.
    sa.Column("awaits", sa.String(16)),
    #: Of its columns' names: what was chosen for one holds for all files with the same.
    sa.Column("header_sha256", sa.String(64), index=True),
    #: Lines with any cell, known once they are looked at; how many of them are in the result; and
    #: the number of the last one of these in the file.
    sa.Column("line_count", sa.Integer, nullable=False),
    sa.Column("done", sa.Integer, nullable=False),
    sa.Column("last_line", sa.Integer, nullable=False),
    sa.Column("decided", sa.Integer, nullable=False),
    #: Since when its worker is at it, and from which line of the result on.
    sa.Column("run_since", _WHEN),
    sa.Column("run_from", sa.Integer, nullable=False),
    #: How lines ended, counted, as JSON (client_file.Counts).
    sa.Column("counts", sa.Text),
    #: Who sent it, as of an evaluation.
    sa.Column("made_by", sa.String(LONGEST_LABEL)),
    #: Why nothing is decided of it, a sentence.
    sa.Column("refusal", sa.Text),
    #: How it was understood, as JSON (client_file.Reading); long, so it stands last.
    sa.Column("reading", sa.Text),
    _index_where("state IN ('conferindo', 'em_andamento')", "client_files_at_work", "id"),
)

#: Who had a file of clients decided, as of an evaluation. Refers to no file, whose deletion by the
#: release before would fail.
file_starters = _table(
    "file_starters",
    sa.Column("file_id", _UUID, primary_key=True),
    sa.Column("label", sa.String(LONGEST_LABEL), primary_key=True),
)

#: Who chose how a file of clients is read: for it, or for an earlier one whose answers hold for it.
file_answerers = _table(
    "file_answerers",
    sa.Column("file_id", _UUID, primary_key=True),
    sa.Column("label", sa.String(LONGEST_LABEL), primary_key=True),
)

#: Pieces of a megabyte at most of what was sent and of what came of it. kind: client_file.Kind.
client_file_parts = _table(
    "client_file_parts",
    sa.Column("file_id", _UUID, sa.ForeignKey("client_files.id"), primary_key=True),
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    #: As sent, or compressed (zlib) where the worker wrote it.
    sa.Column("content", sa.LargeBinary, nullable=False),
)

#: Who works on files of clients. seen_at: by the database's clock, twice a second.
workers = _table(
    "workers",
    sa.Column("id", _UUID, primary_key=True),
    sa.Column("seen_at", _WHEN, nullable=False),
)

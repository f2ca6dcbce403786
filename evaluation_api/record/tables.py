"""The tables of the decision record. Alembic's migrations make them; this says what they hold."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

from evaluation_api.decision.limits import LONGEST_KEY, LONGEST_LABEL, LONGEST_NAME, LONGEST_OWN_KEY

metadata = MetaData()

#: The mark that says from which version on programs can read and write these tables.
READABLE_BY: Final = "readable_by"
#: From which version on programs find what evaluations have by number (versions.py).
NUMBERED_SINCE: Final = "0017"

_UUID = String(36)
_WHEN = DateTime(timezone=True)
#: domain.own_key; a file of SQLite's, where a width bounds nothing, has its first one.
_OWN_KEY = String(LONGEST_KEY).with_variant(String(LONGEST_OWN_KEY), "postgresql")

#: One row an evaluation, in the order of its UUIDv7 id, which is the order of receipt. Pending
#: rows have no decision yet; decided rows never change.
evaluations = Table(
    "evaluations",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("pending", Boolean, nullable=False),
    Column("received_at", _WHEN, nullable=False),
    Column("name", String(LONGEST_NAME), nullable=False),
    #: The name as it is searched for: names.fold of it.
    Column("name_folded", Text, nullable=False),
    Column("balance", Double, nullable=False),
    Column("purchases", Double, nullable=False),
    Column("cash_advance", Double, nullable=False),
    Column("credit_limit", Double, nullable=False),
    Column("payments", Double, nullable=False),
    #: Whether the model was away at receipt, so that the decision came later.
    Column("degraded", Boolean, nullable=False),
    #: Who asked for it (access.Identity.label); None where nobody had to say.
    Column("made_by", String(LONGEST_LABEL)),
    #: While pending: who evaluates it now may keep it until then.
    Column("claimed_until", _WHEN),
    Column("evaluated_at", _WHEN),
    Column("milliseconds", Double),
    Column("cluster", SmallInteger),
    Column("confidence", Double),
    Column("outcome", String(16)),
    #: These three are None, too, in rows that have them by number: see version.
    Column("model_tag", String(80)),
    Column("model_sha256", String(64)),
    Column("policy_version", String(12)),
    #: The answer as it was given, byte for byte, reasons included. None for a client
    #: out of a file, who was given nothing yet: the answer is made when read, of the prediction and
    #: the policy that decided it.
    Column("answer", Text),
    #: What the model said beyond cluster and confidence, packed; None where there is an answer.
    Column("prediction", Text),
    #: What the chain knows the row by (digests.py); None until the sealer comes by, in rows of a
    #: release that does not make them. The salt goes when the client is erased.
    Column("salt", LargeBinary),
    Column("digest", LargeBinary),
    #: The number of model and policy; None where the row has them itself.
    Column("version", Integer),
    #: When the client was taken out of it. What was decided, and by what, is left.
    Column("erased_at", _WHEN),
    Index(
        "pending_evaluations",
        "id",
        postgresql_where=text("pending"),
        sqlite_where=text("pending = 1"),
    ),
)

#: Model and policy of evaluations, once for all that have the same; no purge deletes them. No row
#: is bound to its line by a foreign key: on PostgreSQL whoever writes would lock that one line.
versions = Table(
    "versions",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("model_tag", String(80), nullable=False),
    Column("model_sha256", String(64), nullable=False),
    Column("policy_version", String(12), nullable=False),
)

#: Who used an Idempotency-Key first, and for what.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", _OWN_KEY, primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column(
        "evaluation_id",
        _UUID,
        # Checked at the commit: the release before writes the key before the evaluation.
        ForeignKey("evaluations.id", deferrable=True, initially="DEFERRED"),
        nullable=False,
        index=True,
    ),
)

#: The same for every other POST (posts.Operation), and what it made of which evaluation or file. A
#: file's fingerprint is empty until it has come in whole.
posts = Table(
    "posts",
    metadata,
    Column("operation", String(16), primary_key=True),
    Column("key", _OWN_KEY, primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("subject_id", _UUID, nullable=False, index=True),
    Column("made_id", _UUID, nullable=False),
)

#: What people decided; rows are only ever added.
reviews = Table(
    "reviews",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("evaluation_id", _UUID, ForeignKey("evaluations.id"), nullable=False, index=True),
    Column("outcome", String(16), nullable=False),
    Column("justification", Text, nullable=False),
    Column("reviewer", String(LONGEST_NAME), nullable=False),
    Column("reviewed_at", _WHEN, nullable=False),
    #: Why, by a code that can be counted; None in reviews of a release that asked for none.
    Column("reason", String(40)),
    #: As an evaluation's, made by the sealer.
    Column("salt", LargeBinary),
    Column("digest", LargeBinary),
    Index(
        "undigested_reviews",
        "id",
        postgresql_where=text("digest IS NULL"),
        sqlite_where=text("digest IS NULL"),
    ),
)

#: What was sealed and what was done, each entry with the hash of the one before (chain.py); rows
#: are only ever added. body: canonical JSON. hash: the SHA-256 of it, in hexadecimal.
chain = Table(
    "chain",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Index("chain_kinds", "kind", "number"),
)

#: What was done and has no entry yet: written beside what it is about, as JSON.
chain_events = Table(
    "chain_events",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("body", Text, nullable=False),
)

#: Evaluations that were sealed as they were received, before they were decided.
chain_waiting = Table("chain_waiting", metadata, Column("evaluation_id", _UUID, primary_key=True))

#: Evaluations that do not count any more, and those that were made of the corrected clients.
corrections = Table(
    "corrections",
    metadata,
    Column("evaluation_id", _UUID, ForeignKey("evaluations.id"), primary_key=True),
    Column("by_id", _UUID, ForeignKey("evaluations.id"), nullable=False, unique=True),
)

#: What sealed evaluations were known by that a purge deleted. position: as callers are told it.
purged_digests = Table(
    "purged_digests",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("evaluation_id", _UUID, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    #: The event that tells of it.
    Column("event_id", _UUID, nullable=False),
)

#: What the tables themselves are told by.
marks = Table(
    "marks",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

#: Every policy that ever decided here, so that a decision can be explained years later.
policies = Table(
    "policies",
    metadata,
    Column("version", String(12), primary_key=True),
    Column("text", Text, nullable=False),
    Column("first_used_at", _WHEN, nullable=False),
)

#: Every model that was met, and what it said of itself, as JSON.
models = Table(
    "models",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("tag", String(80), nullable=False, index=True),
    Column("description", Text, nullable=False),
    Column("first_met_at", _WHEN, nullable=False),
)

#: A CSV file of clients as the last release received it; portfolio/earlier_files.py makes a client
#: file of it.
batches = Table(
    "batches",
    metadata,
    Column("id", _UUID, primary_key=True),
    #: The file's name, as its sender calls it.
    Column("name", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    #: While the file comes in: when it last did, so that what broke off can be told.
    Column("changed_at", _WHEN, nullable=False),
    #: How the file is written and its first rows, as JSON; known once it is whole.
    Column("dialect", Text),
    Column("sample", Text),
    Column("line_count", Integer, nullable=False),
)

#: About 1,024 lines of a file each, in its order; evaluated and committed as one.
batch_chunks = Table(
    "batch_chunks",
    metadata,
    Column("batch_id", _UUID, ForeignKey("batches.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("line_count", Integer, nullable=False),
    #: Who evaluates it now may keep it until then.
    Column("claimed_until", _WHEN),
    Column("settled_at", _WHEN),
    #: How the lines ended, counted, as JSON, so that a summary need not read the evaluations.
    Column("tally", Text),
    #: The lines as read, as JSON: [[line number, [cell, ...]], ...]. The long columns stand last,
    #: since SQLite reads through them to whatever stands after.
    Column("lines", Text, nullable=False),
    #: For each line, as JSON: its evaluation's id, or the field and the reason why it has none.
    Column("endings", Text),
    Index(
        "unsettled_chunks",
        "batch_id",
        "number",
        postgresql_where=text("settled_at IS NULL"),
        sqlite_where=text("settled_at IS NULL"),
    ),
)

#: A file of clients that was recorded from a terminal, once for each time that somebody asked for
#: it anew. Its evaluations' ids follow from its own (portfolio/recording.py).
recorded_files = Table(
    "recorded_files",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", _UUID, nullable=False),
    #: By what it is read and decided, as JSON.
    Column("criteria", Text, nullable=False),
    #: How many of its clients are, in its order.
    Column("recorded", BigInteger, nullable=False),
)

#: What lets somebody in (access.credentials).
credentials = Table(
    "credentials",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("name", String(LONGEST_NAME), nullable=False),
    #: With a comma between two.
    Column("roles", String(120), nullable=False),
    Column("made_at", _WHEN, nullable=False),
    Column("expires_at", _WHEN, nullable=False),
    #: The SHA-256 of what was shown once; None for a session, which is signed.
    Column("digest", String(64), unique=True),
    #: How that begins.
    Column("hint", String(16), nullable=False),
    #: The last time, to the minute; of a link, the only one.
    Column("used_at", _WHEN),
    Column("revoked_at", _WHEN),
)

#: A file of clients as somebody sent it, and how far it is. state: client_file.State.
client_files = Table(
    "client_files",
    metadata,
    Column("id", _UUID, primary_key=True),
    #: As its sender calls it.
    Column("name", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    #: While it comes in: when it last did, so that what broke off can be told.
    Column("changed_at", _WHEN, nullable=False),
    #: Of what was sent, known once it is whole.
    Column("sha256", String(64), index=True),
    #: What a person chose, as JSON (client_file.Answers).
    Column("answers", Text),
    #: Whether it begins by itself when nothing is to be asked.
    Column("starts_when_ready", Boolean, nullable=False),
    #: Which worker has it, and until when unless it says so again.
    Column("worker", _UUID),
    Column("leased_until", _WHEN),
    #: How often it was taken since it last went on: what ends its workers must not do so for ever.
    Column("attempts", Integer, nullable=False),
    #: What it waits for, if for anything: client_file.Awaited.
    Column("awaits", String(16)),
    #: Of its columns' names: what was chosen for one holds for all files with the same.
    Column("header_sha256", String(64), index=True),
    #: Lines with any cell, known once they are looked at; how many of them are in the result; and
    #: the number of the last one of these in the file.
    Column("line_count", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("last_line", Integer, nullable=False),
    Column("decided", Integer, nullable=False),
    #: Since when its worker is at it, and from which line of the result on.
    Column("run_since", _WHEN),
    Column("run_from", Integer, nullable=False),
    #: How lines ended, counted, as JSON (client_file.Counts).
    Column("counts", Text),
    #: Who sent it, as of an evaluation.
    Column("made_by", String(LONGEST_LABEL)),
    #: Why nothing is decided of it, a sentence.
    Column("refusal", Text),
    #: How it was understood, as JSON (client_file.Reading); long, so it stands last.
    Column("reading", Text),
    Index(
        "client_files_at_work",
        "id",
        postgresql_where=text("state IN ('conferindo', 'em_andamento')"),
        sqlite_where=text("state IN ('conferindo', 'em_andamento')"),
    ),
)

#: Who had a file of clients decided, as of an evaluation. Refers to no file, whose deletion by the
#: release before would fail.
file_starters = Table(
    "file_starters",
    metadata,
    Column("file_id", _UUID, primary_key=True),
    Column("label", String(LONGEST_LABEL), primary_key=True),
)

#: Who chose how a file of clients is read: for it, or for an earlier one whose answers hold for it.
file_answerers = Table(
    "file_answerers",
    metadata,
    Column("file_id", _UUID, primary_key=True),
    Column("label", String(LONGEST_LABEL), primary_key=True),
)

#: Pieces of a megabyte at most of what was sent and of what came of it. kind: client_file.Kind.
client_file_parts = Table(
    "client_file_parts",
    metadata,
    Column("file_id", _UUID, ForeignKey("client_files.id"), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    #: As sent, or compressed (zlib) where the worker wrote it.
    Column("content", LargeBinary, nullable=False),
)

#: Who works on files of clients. seen_at: by the database's clock, twice a second.
workers = Table(
    "workers",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("seen_at", _WHEN, nullable=False),
)

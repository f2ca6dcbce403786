"""The keeper of the decision record, in SQLite or PostgreSQL. Knows the decision's values alone.

database, postgres, deadline        connections, and until when somebody waits for one
tables, schema, migrations,         what there is, and how an older record comes to it
server_indexes
rows, digests, versions, writer     an evaluation as a row, written as each database takes it best
evaluations, posts, pending,        what is kept, and asked for one by one
policies, models, credentials
executor, appender, outage          who may write when, and whether there is a record at all
positions, search/                  the order of commits, and what is found by it or by a name
chain, sealer, journal              what shows that nothing was changed, and who read what
pending_worker, pace, clock         what goes on by itself, how much of it at once, by which clock
"""

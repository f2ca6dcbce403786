"""What the system costs and gains, beside what it replaces: `make bench`, `make bench-model`.

Starts each system as its users start it, drives it with wrk, and prints one table. It knows the
systems by their commands and their HTTP, and nothing of their insides; `subjects.unrecorded` and
`subjects.unexplained` are the exceptions, which are the services with parts left out.
"""

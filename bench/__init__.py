"""What the system costs and gains, beside what it replaces: `make bench`, `make bench-model`.

Starts each system as its users start it, drives it with wrk, and prints one table. It knows the
systems by their commands and their HTTP, and nothing of their insides; `ceiling` is the exception,
since it is the evaluation service without its model and its record.
"""

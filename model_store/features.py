"""The five features, in the order of every matrix in this project.

A leaf: standard library only, so that whoever needs the names pays for nothing else.
"""

from typing import Final

FEATURES: Final = ("balance", "purchases", "cash_advance", "credit_limit", "payments")
"""Column order of each n x 5 matrix. `balance` is what the client owes, not the limit left."""

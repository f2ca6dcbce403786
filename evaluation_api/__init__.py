"""The evaluation service: turns an applicant into a recorded decision.

decision/ says what is decided and why; model/ and record/ keep the two outside things; web/ is how
one asks; runtime/ serves anything and knows no clients. serving and app wire them; operations/ is
what people type at a terminal. Nothing here loads a model: a process boundary lies between. Files
of clients come in and go out by client_files/; what is in them portfolio/ reads, which nothing here
imports.
"""

#: Of the release, as the description of the API tells it; `make release` writes it.
VERSION = "0.1.0"

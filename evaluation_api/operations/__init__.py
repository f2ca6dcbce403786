"""What is typed, python -m evaluation_api --help: to serve, and by an operator or an auditor.

*_commands read what is typed and print, with terminal; audit, persons, remains, replay and
retention do it, on the record and beside whoever serves.
"""

"""What an operator or an auditor types, python -m evaluation_api --help; nothing serving needs it.

*_commands read what is typed and print, with terminal; audit, persons, remains, replay and
retention do it, on the record and beside whoever serves.
"""

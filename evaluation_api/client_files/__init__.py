"""Files: a CSV file of clients, read while it comes in and evaluated in chunks.

domain <- reading, writing <- evaluating, file_log <- files, worker <- routes, command.
"""

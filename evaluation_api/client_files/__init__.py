"""Batches: a CSV file of clients, read while it comes in and evaluated in chunks.

domain <- reading, writing <- evaluating, batch_log <- batches, worker <- routes, command.
"""

"""Files of clients as they come in and go out: bytes, where one stands, what came of it.

What is in them portfolio/ reads, in a process of its own, which meets these routes in the record.
"""

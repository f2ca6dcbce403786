"""The JSON of the public contract; nothing outside this package knows its Portuguese keys.

Knows nothing of HTTP's status codes and headers.
"""

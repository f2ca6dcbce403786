"""The clustering model: how it is trained, opened, checked, versioned and published.

Nothing here knows of HTTP, of decisions or of the people who are evaluated.
"""

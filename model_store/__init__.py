"""The clustering model: how it is trained, opened, checked, versioned, published and served.

HTTP is known to intake, versions and bentoml_tuning alone. Nothing here knows of decisions or of
the people who are evaluated.
"""

"""The clustering model: how it is trained, opened, checked, versioned, published and served.

pickles/ is the only place that opens one; serving/ is what service.py needs, and alone knows HTTP.
Nothing here knows of decisions or of the people who are evaluated.
"""

"""Many clients at once, on pandas and Arrow, away from who asks about one.

Never imported by the evaluation service. Everything here calls frames.evaluate.
"""

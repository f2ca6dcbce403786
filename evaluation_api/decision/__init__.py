"""What is decided of a client, and why: values, policy, sentences, and the order of things.

Standard library only; ids and clocks are passed in. Knows neither HTTP nor SQL nor models.
"""

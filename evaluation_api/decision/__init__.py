"""What is decided of a client, and why: values, policy, sentences, and the order of things.

domain, limits, errors              the words, what is accepted, what can go wrong
policy, facts, promise, references  the criteria, and what is true of a client
policy_file, toml_table             how they are read; earlier_policy: what was decided before facts
evaluation                          the use case: predict, decide, record, answer
sentences, names                    why, in Portuguese; what a name is, and how two are compared

Standard library only; ids and clocks are passed in. Knows neither HTTP nor SQL nor models.
"""

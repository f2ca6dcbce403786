"""The evaluation service: turns an applicant into a recorded decision.

Imports run one way: app -> routes -> contract -> evaluation -> policy -> domain. Adapters
(model_client, decision_log) import domain and errors only, and app wires them. Nothing here
loads a model: a process boundary lies between.
"""

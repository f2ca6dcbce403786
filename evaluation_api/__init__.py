"""The evaluation service: turns an applicant into a recorded decision.

Imports run one way: app -> routes -> contract -> evaluation -> policy -> domain. Adapters
(model_client, transport, decision_log, file_log, recorder) know the domain and its errors, and
nothing of the use case; app wires them. Nothing here loads a model: a process boundary lies
between.
"""

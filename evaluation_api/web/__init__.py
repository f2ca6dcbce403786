"""How one asks: routes, what may be sent, what is answered. Wired by app.py.

admission, api_route, requests      what is let in, and how it is read
routes, sign_in                     from a request to the use case and back
contract, answers, dossier          what is answered, as types, and made of what the domain knows
problem_table, problems, openapi    what is answered to each error, how, and how all is described
pages, compression                  files that people's browsers ask for, so few large ones at once
"""

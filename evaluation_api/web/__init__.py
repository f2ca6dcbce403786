"""How one asks: routes, what may be sent, what is answered. Wired by app.py."""

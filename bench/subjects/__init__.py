"""What is measured: each system as its users start it."""

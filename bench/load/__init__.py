"""Who asks: clients, and the programs that drive a system with them."""

"""What any service needs: a server, metrics, request ids, logs, shared calls. Knows no clients."""

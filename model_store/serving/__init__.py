"""What service.py needs: requests read, clients predicted and explained, answers written."""

"""What runs the services: on a laptop, in containers, on Kubernetes."""

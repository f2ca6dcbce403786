"""The keeper of the model service: predictions over HTTP. Knows the decision's values alone."""

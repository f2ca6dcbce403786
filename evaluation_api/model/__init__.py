"""The keeper of the model service: predictions over HTTP. Knows the decision's values alone.

client asks for many who wait, by way of transport and as far as circuit lets it; messages, with
promised, is all that knows the service's JSON.
"""

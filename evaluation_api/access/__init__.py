"""Who is asking, and what they may do. Knows neither SQL nor Portuguese sentences."""

"""The only place that opens a pickle, its own or somebody's."""

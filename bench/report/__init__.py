"""What is said of it: figures, tables, plots, targets and where they are published."""

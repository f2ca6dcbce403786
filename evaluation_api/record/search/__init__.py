"""What finds evaluations among many: lists, searches in threads of their own, an index of names."""

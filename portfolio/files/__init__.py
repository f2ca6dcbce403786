"""Files of clients as people have them: CSV in any dialect, spreadsheets, Parquet.

From bytes to frames of amounts and to faults, and from decisions to a result beside every line.
"""

"""Where the views are kept: one schema, rows and their position in one transaction.

schema   the tables            store    writes a batch and its position at once
reader   what questions need, always bounded by a position
"""

"""Where the views are kept: one schema, rows and their position in one transaction.

schema       the tables of the views          store      writes a batch and its position at once
reader       what questions need, always bounded by a position
engines      SQLite and PostgreSQL            migrating  brings tables to what a release needs
generations  which making of the views answers, and which one is being built
fold         what tells one way of making rows from another
comparing    whether two generations say the same
"""

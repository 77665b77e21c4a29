"""How the tables came to be what they are: a chain of migrations for views, one for the service.

A migration names its types itself, not through the schema of today, and leaves rows that are there
readable. tests/projections/test_migrations.py wants both chains to end in exactly the schema.
"""

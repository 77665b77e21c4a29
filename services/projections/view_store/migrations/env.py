"""What Alembic runs: the migrations of one chain, on the connection it is handed."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # In SQLite too: a migration that is killed has not been.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()

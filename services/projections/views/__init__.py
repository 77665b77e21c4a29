"""The views, pure: events in, rows out, and what the rows of a moment say. No clock, no I/O.

rows        what the tables hold; rows are added, never changed
projector   one event after another becomes rows of every view
current     goals as they stand after an event
history     who changed which field, when, why, from and to
indicators  check-ins and readings, each with its corrections
origins     where a number comes from
course      a cycle's time and rules, and when check-ins are due
standing    which check-in or reading counts at a moment, and the progress and health that follow
advised     what is worth saying of goals as they stand
days        days and instants in an organisation's zone
"""

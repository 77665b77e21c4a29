"""Events for services without NATS: signed webhooks, each goal's in order, retried, none lost.

endpoints   who is told what, from a file that people write
queue       what is to be told, and what came of it: in SQLite, with the position it goes up to
sending     one webhook, signed as Standard Webhooks has it, and what its answer means
app         wiring: the log -> queue -> endpoints
"""

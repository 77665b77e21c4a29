"""A nats-server and the services around it as children of one process: a laptop, a test, a demo.

Knows nothing of goals: it starts what it is given, restarts what dies, stops all of it in order.
"""

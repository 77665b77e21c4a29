"""When the server knows what was sent: nobody is told earlier that a subscription is in force."""

from nats.aio.client import Client


async def flushed(connection: Client) -> None:
    """Return once the server has taken all that was sent on it; raises a nats.errors.Error.

    Twice, for the ping of nats-py goes past what still waits to be sent. While the first is under
    way that is sent, and at the second nothing of it waits any more.
    """
    await connection.flush()
    await connection.flush()

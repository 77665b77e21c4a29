"""A ledger with a lease that no other one knows: what several are when the lease fails them."""

import argparse
import asyncio

from services.cli import logs
from services.ledger.app import Settings, run
from services.ledger.store.lease import LeaseSettings

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for flag in ("--server", "--monitor", "--bucket"):
        parser.add_argument(flag, required=True)
    given = parser.parse_args()
    logs.configure()
    settings = Settings(
        server_url=given.server,
        monitor_url=given.monitor,
        lease=LeaseSettings(bucket=given.bucket),
    )
    asyncio.run(run(settings))

"""`python -m services.cli`: the same as `goal-ledger`."""

from services.cli.app import main

if __name__ == "__main__":
    main()

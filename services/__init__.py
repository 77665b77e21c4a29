"""The running parts of Goal Ledger: the ledger, the projections, and the doors to them."""

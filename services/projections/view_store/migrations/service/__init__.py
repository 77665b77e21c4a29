"""The tables that outlive generations."""

"""The tables of one generation of views."""

"""The write side: the only one that may append to the log."""

"""The command line, the door for operators."""

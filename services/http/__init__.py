"""What both services need to be reached over HTTP: a listener, problems, bearer tokens."""

"""The projections' door for everybody: questions, live events, and how the service is."""

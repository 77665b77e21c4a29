"""The log on JetStream, behind the recorder interface of eventsourcing."""

"""Goals kept as Markdown: read a document, compare it with the one before, say what changed."""

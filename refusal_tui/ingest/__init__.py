"""Getting data in: from a file, folder or Hub dataset to items with provenance."""

"""Archives of any size, made while they are uploaded: members as streams, a manifest with the hash of each, one zip."""

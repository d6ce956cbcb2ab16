"""Reading a graph into layers: what its values are in memory, and one file a kind of operation."""

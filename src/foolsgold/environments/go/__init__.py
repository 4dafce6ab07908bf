"""Go: what is really true about a board is its area score."""

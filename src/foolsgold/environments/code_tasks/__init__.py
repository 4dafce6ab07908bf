"""Small Python functions and their descriptions: what is really true is what the function returns."""

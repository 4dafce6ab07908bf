"""Small Java methods and their translations to Python: what is really true is what the method returns."""

"""foolsgold: learn how far a reward can be trusted.

One optimiser, many referees, and a meter between the proxy reward and the gold one.
"""

__version__ = "0.1.0"

import os

# As the engine does before it loads its models, and for the same reason; some tests load them without it.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

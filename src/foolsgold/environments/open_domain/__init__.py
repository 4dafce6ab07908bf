"""Small worlds of tasks for which nobody has an objective reward, except the one who made the world."""

"""What worlds of programs share."""

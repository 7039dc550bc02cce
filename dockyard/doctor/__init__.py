"""Looks at the machine point by point, and tries for real what can be tried."""

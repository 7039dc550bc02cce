"""A JupyterHub for a room on one machine: each learner has a place, the desk keeps their labs."""

"""What a learner looks at: the lab as a live picture, and a panel that checks by itself."""

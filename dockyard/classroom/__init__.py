"""The instructor's side: submissions in, scores and feedback out. The one place for nbgrader."""

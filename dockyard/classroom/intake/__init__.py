"""What is handed in, from wherever it comes, to where nbgrader keeps it."""

"""nbgrader's settings for this course: `dockyard grade`, `nbgrader` and formgrader read them.

All that grading makes stays in grading/, which git ignores.
"""

from pathlib import Path

c = get_config()  # noqa: F821  # nbgrader's own, in such files
root = Path(__file__).parent

c.CourseDirectory.course_id = "dockyard"
c.CourseDirectory.root = str(root)
c.CourseDirectory.source_directory = "exercises"
c.CourseDirectory.release_directory = "grading/release"
c.CourseDirectory.submitted_directory = "grading/submitted"
c.CourseDirectory.autograded_directory = "grading/autograded"
c.CourseDirectory.feedback_directory = "grading/feedback"
c.CourseDirectory.db_url = f"sqlite:///{root}/grading/gradebook.db"
c.CourseDirectory.ignore = [
    ".ipynb_checkpoints",
    "__pycache__",
    "exercise.toml",
    "near_misses.toml",
]

# `nbgrader collect` and formgrader's button: links in what learners hand in are not followed.
c.ExchangeFactory.collect = "dockyard.classroom.intake.exchange.Collector"

# "Run all" stops at an exception, and a learner's first look should not be a red one.
c.ClearSolutions.code_stub = {"python": "# Your commands go here."}

# Scores come from the lab's state, never from what a submission prints. These lists hold for
# formgrader's buttons too.
c.Autograde.sanitize_preprocessors = [
    "dockyard.classroom.preprocessors.Restore",
    "nbgrader.preprocessors.OverwriteKernelspec",
    "nbgrader.preprocessors.OverwriteCells",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Autograde.autograde_preprocessors = [
    "dockyard.classroom.runner.RunInLab",
    "dockyard.classroom.preprocessors.AsText",
    "nbgrader.preprocessors.LimitOutput",
    "dockyard.classroom.scores.SaveReport",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
# A learner's stack.yml is work that was handed in, too.
c.Autograde.exclude_overwriting = {
    folder.name: [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]
    for folder in (root / "exercises").glob("*/")
}

c.RunInLab.timeout = 120  # seconds for one cell
c.RunInLab.notebook_timeout = 600  # seconds for all cells

"""What can go wrong, and whose it is.

DockyardError              exit code 2: Dockyard or the machine is at fault
├── EngineError            no outer engine, or it does not answer
├── ImageError             an image cannot be had
├── LabError               a lab or one of its hosts is at fault
├── CourseError            an exercise's files are broken
├── BundleError            a bundle cannot be made, or is damaged
├── BoardError             exit code 1: a board cannot be started here
└── UnknownName            exit code 1: somebody named a thing that is not there
"""


class DockyardError(Exception):
    """One line for a person: what happened, with the name in quotes, and what to do next."""

    exit_code = 2


class EngineError(DockyardError):
    """The outer engine cannot be had or does not answer."""


class ImageError(DockyardError):
    """An image can be neither built, pulled nor found."""


class LabError(DockyardError):
    """A lab, or a host of it, does not do what it should."""


class CourseError(DockyardError):
    """An exercise's files are missing or broken."""


class BundleError(DockyardError):
    """A bundle cannot be made, or is none, or is damaged."""


class BoardError(DockyardError):
    """A board runs already, or its port is taken."""

    exit_code = 1


class UnknownName(DockyardError):
    """A named exercise, task, host or learner does not exist."""

    exit_code = 1


def reason(error: Exception) -> str:
    """One line for what is our fault, or an engine's."""
    said = getattr(error, "explanation", None) or error  # docker.errors.APIError's own words
    if isinstance(error, DockyardError | OSError):
        return str(said)
    if type(error).__module__.split(".")[0] in ("docker", "requests"):
        return f"an engine gave no answer: {said}"
    return f"Dockyard is broken: {type(error).__name__}: {error}"

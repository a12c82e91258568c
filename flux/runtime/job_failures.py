"""What becomes of a job when an attempt at it fails."""

from __future__ import annotations

from flux.engine.jobs import JobFailure
from flux.errors import Discard, FluxError, InvalidInput, Retry


def job_failure(error: BaseException) -> JobFailure:
    """How a job goes on after this error: discarded, tried again when it asked for it, or as usual."""
    if isinstance(error, Discard):
        return JobFailure(error.message, ending="discarded")
    if isinstance(error, Retry):
        return JobFailure(error.message, after=error.after)
    return JobFailure(
        error.message if isinstance(error, FluxError) else f"{type(error).__name__}: {_first_line(error)}"
    )


def job_refusal(error: FluxError) -> JobFailure:
    """How a job goes on that no function could take. Input that does not fit the type hints will not fit next time."""
    if isinstance(error, InvalidInput):
        problems = "; ".join(f"{problem['field']}: {problem['message']}" for problem in error.problems)
        return JobFailure(f"{error.message}: {problems}" if problems else error.message, ending="dead")
    return job_failure(error)


def job_outcome(error: BaseException, outcome: str) -> str:
    """The outcome of the attempt's request: nobody was refused by a job that failed, unless the job itself was."""
    if isinstance(error, Discard):
        return "refused"
    return "error" if outcome == "refused" else outcome


def job_status(error: Retry | Discard) -> int:
    """The HTTP status that a caller would have had: come later, or what was asked for cannot be done."""
    return 503 if isinstance(error, Retry) else 422


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0]

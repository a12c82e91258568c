"""Every error Flux raises, in one place, so that codes stay unique and wording stays of one voice.

A code is `XF`, a digit for the room (0 project, 1 gateway, 2 runtime, 3 engine, 4 explain, 5 jobs, 6 replay,
7 deploy, 8 questions) and two digits. Where the database raises the error, the code is its SQLSTATE. Codes are
never reused. A class docstring is the default message; a hint is a whole sentence and, where it can be, a command.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar


class FluxError(Exception):
    """something went wrong in flux"""

    code: ClassVar[str] = "XF000"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.hint = hint
        super().__init__(self.message)


# Project


class ConfigError(FluxError):
    """flux.toml cannot be read"""

    code = "XF001"
    exit_code = 2


class NotAProject(FluxError):
    """no flux.toml here or in a folder above"""

    code = "XF002"
    exit_code = 2


class UsageError(FluxError):
    """the command line cannot be understood"""

    code = "XF003"
    exit_code = 2


class CannotWrite(FluxError):
    """a file or folder cannot be written"""

    code = "XF004"


# Gateway


class PortInUse(FluxError):
    """the port is in use"""

    code = "XF101"


class AlreadyRunning(FluxError):
    """flux dev already runs in this project"""

    code = "XF102"


# Runtime


class HTTPError(FluxError):
    """Ends a request with an HTTP status; what it wrote is rolled back, its record is kept.

    `status` is the HTTP status, `message` what the caller is told; further keywords become members of the
    RFC 9457 problem body.
    """

    code = "XF201"

    def __init__(self, status: int, message: str | None = None, **members: object) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"the status of an HTTPError is {status}, not a number from 400 to 599")
        super().__init__(message or f"HTTP {status}")
        self.status = status
        self.members = members


class InvalidInput(HTTPError):
    """The arguments do not fit the function's type hints; answered with 422 and the fields named."""

    code = "XF202"

    def __init__(self, message: str, problems: list[dict[str, str]]) -> None:
        super().__init__(422, message, errors=problems)
        self.problems = problems


class FunctionTimeout(FluxError):
    """the function ran longer than its timeout"""

    code = "XF203"


class FunctionNotFound(FluxError):
    """there is no such function"""

    code = "XF204"


class FunctionBroken(FluxError):
    """the function's module cannot be imported"""

    code = "XF205"


class OutsideRequest(FluxError):
    """this can be used only inside a request"""

    code = "XF206"


class BadDefinition(FluxError):
    """the function is not defined as Flux needs it"""

    code = "XF207"


class UnrecordableValue(FluxError):
    """the value cannot be written as JSON"""

    code = "XF208"


class FetchFailed(FluxError):
    """The outbound call got no answer, or one that cannot be used; `status` is that of the answer, if there was one."""

    code = "XF209"

    def __init__(self, message: str | None = None, *, status: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class FetchTimeout(FetchFailed):
    """the outbound call was not answered in time"""

    code = "XF210"


class Crashed(FluxError):
    """the worker process died while this request ran"""

    code = "XF211"


class GuestError(FluxError):
    """a function in another language raised an error; `type` is what it is called there"""

    code = "XF221"

    def __init__(self, message: str, *, type: str = "Error", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.type = type


class GuestLimit(FluxError):
    """the function used more than it may"""

    code = "XF222"


class GuestTrap(FluxError):
    """the function trapped"""

    code = "XF223"


class GuestDied(FluxError):
    """the process that ran the function died"""

    code = "XF224"


class GuestProtocol(FluxError):
    """the function broke the host protocol"""

    code = "XF225"


class GuestUnusable(FluxError):
    """the function cannot be loaded; `file` (absolute) and `line` say where that shows, if anywhere"""

    code = "XF226"

    def __init__(self, message: str, *, file: str | None = None, line: int = 1, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.line = line


class ToolMissing(FluxError):
    """a program that is needed is not installed"""

    code = "XF227"


class BuildFailed(FluxError):
    """the build of the function failed"""

    code = "XF228"


class TypesWrong(FluxError):
    """functions in TypeScript have type errors"""

    code = "XF229"


# Engine


class DatabaseUnavailable(FluxError):
    """the database cannot be reached"""

    code = "XF301"
    exit_code = 3


class NotInstalled(FluxError):
    """flux is not installed in this database, or its version differs"""

    code = "XF302"
    exit_code = 4


class InstallFailed(FluxError):
    """the database refused the installation"""

    code = "XF303"
    exit_code = 4


class MigrationFailed(FluxError):
    """a migration of the project failed"""

    code = "XF304"


class NotPermitted(FluxError):
    """the database role may not do this"""

    code = "XF305"


class TransactionControl(FluxError):
    """transactions belong to the runtime"""

    code = "XF306"


# Queries


class BadQuery(FluxError):
    """the query cannot be read"""

    code = "XF401"
    exit_code = 2

    def __init__(self, message: str | None = None, *, path: str = "", hint: str | None = None) -> None:
        # `path` is the place in the document, such as filters[1].op; empty for the whole. `document` is the query as
        # it was given, where it came from a function.
        self.path = path
        self.document: Any = None
        super().__init__(f"{path}: {message}" if path and message else message, hint=hint)


class UnknownName(BadQuery):
    """the database has no table, column or relation of this name"""

    code = "XF402"


class BadValue(BadQuery):
    """the value does not fit the type of its column"""

    code = "XF403"


class QueryRefused(BadQuery):
    """the query is more than the project allows"""

    code = "XF404"
    exit_code = 1


class ColumnRefused(BadQuery):
    """the role may not do this with the column"""

    code = "XF405"
    exit_code = 1


class StatementRefused(FluxError):
    """the database refuses the statement"""

    code = "XF411"

    def __init__(self, told: Mapping[str, Any]) -> None:
        # `told` is what Postgres says: message, code, detail, hint, table, column, constraint.
        self.told = dict(told)
        super().__init__(str(told["message"]), hint=told["hint"])


# Policies


class PolicyError(FluxError):
    """db/policies.toml cannot be enforced as it is"""

    code = "XF441"
    exit_code = 2


class UnknownRole(FluxError):
    """the database has no such role"""

    code = "XF442"


# Jobs


class PayloadTooLarge(FluxError):
    """the input of the job is larger than the project allows"""

    code = "XF501"


class LeaseLost(FluxError):
    """the job is no longer this worker's"""

    code = "XF502"


#: Seconds that a job waits at most because it asked to: ten years, which every clock on the way can tell.
_LONGEST_WAIT = 10 * 365 * 86_400.0


class Retry(FluxError):
    """the job asked to be tried again"""

    code = "XF503"

    def __init__(self, after: float | str | timedelta | None = None, reason: str | None = None) -> None:
        # After so many seconds, or text such as "5m"; else when a failure would be tried again.
        from flux.config import duration_seconds  # it imports this module

        super().__init__(reason)
        if isinstance(after, timedelta):
            after = after.total_seconds()
        self.after = after if after is None or after == 0 else min(duration_seconds(after), _LONGEST_WAIT)


class Discard(FluxError):
    """the job was discarded"""

    code = "XF504"


class NotHandedOff(FluxError):
    """work cannot be handed on like this"""

    code = "XF506"


class KeyTaken(FluxError):
    """another job of this function has the key"""

    code = "XF507"


class BadEvent(FluxError):
    """this is not the type of an event"""

    code = "XF521"


class EventTooLarge(FluxError):
    """the data of the event is larger than the project allows"""

    code = "XF522"


class BadSigningSecret(FluxError):
    """the secret of the webhook cannot sign"""

    code = "XF523"


# Bisect


class NotARepository(FluxError):
    """the project is not in a git repository"""

    code = "XF641"


class UnknownCommit(FluxError):
    """there is no such commit"""

    code = "XF642"


class CannotBisect(FluxError):
    """the request cannot be bisected"""

    code = "XF643"


# Replay: running recorded requests again


class CannotLoad(FluxError):
    """the project cannot be loaded for a replay"""

    code = "XF601"


class ToolNotRecorded(FluxError):
    """the record holds no answer to this call, and a replay makes none"""

    code = "XF602"


# Replay: sandboxes


class SandboxFailed(FluxError):
    """the sandbox cannot be made"""

    code = "XF611"


class CannotRebuild(FluxError):
    """the past of this table cannot be rebuilt"""

    code = "XF612"


class CannotUndo(FluxError):
    """what this request wrote cannot be taken back"""

    code = "XF613"


# Incident


class CannotReplay(FluxError):
    """the request cannot be run again"""

    code = "XF621"


class NothingToReplay(FluxError):
    """no request was recorded in this window"""

    code = "XF622"


# Deploy


class DeployRefused(FluxError):
    """the project cannot be deployed as it is"""

    code = "XF701"


class BundleTooLarge(DeployRefused):
    """the bundle is too large"""

    code = "XF702"


class NotDeployed(FluxError):
    """nothing is deployed in this database"""

    code = "XF703"


class BundleDamaged(FluxError):
    """the stored bundle is not what was deployed"""

    code = "XF704"


class CodeNotFound(FluxError):
    """there is no such code"""

    code = "XF705"


class DeploymentUnusable(FluxError):
    """the deployment cannot be served by this machine"""

    code = "XF706"


# Questions


class NotFound(FluxError):
    """nothing was found"""

    code = "XF801"


class Ambiguous(FluxError):
    """more than one request begins with these digits"""

    code = "XF802"


class NotRecorded(FluxError):
    """this was not recorded"""

    code = "XF803"

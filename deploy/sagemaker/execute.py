"""Carries out a plan: calls, waits with progress, and undoes a plan that fails."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from deploy.sagemaker import waits
from deploy.sagemaker.aws import Aws
from deploy.sagemaker.errors import AMBIGUOUS, DeployError, Kind
from deploy.sagemaker.state import Endpoint
from deploy.sagemaker.steps import Call, Step, Wait

_POLL_S: Final = 15.0
_REPEAT_S: Final = 60.0  # a progress line is repeated after this time
# SageMaker still works on it; another run owns what exists; no call is possible.
_NOT_UNDONE: Final = frozenset({Kind.TIMEOUT, Kind.EXISTS, Kind.CREDENTIALS})
_POLL_FAILURES: Final = 10  # in a row; an update lasts an hour, and a poll may fail


class Clock(Protocol):
    """Monotonic time."""

    def now(self) -> float:
        """Return seconds."""

    def sleep(self, seconds: float) -> None:
        """Block for some time."""


@dataclass(frozen=True, slots=True)
class Executor:
    """Carries out plans.

    Attributes:
        aws: the clients.
        clock: the time.
        say: prints one line of progress.
        watch: called at each poll of a watched step.
    """

    aws: Aws
    clock: Clock
    say: Callable[[str], None]
    watch: Callable[[], None]

    def run(self, steps: Sequence[Step]) -> None:
        """Carry out the steps; if one fails, undo those before it in reverse.

        Raises:
            DeployError: a step failed. What could not be undone was shown before.
        """
        undo: list[Step] = []
        committed = False
        for number, step in enumerate(steps, 1):
            self.say(f"[{number}/{len(steps)}] {step.does}")
            try:
                self._do(step, undo)
            except DeployError as error:
                if committed:
                    self.say(
                        "the steps before have taken effect; run the command again for the rest"
                    )
                elif error.kind not in _NOT_UNDONE:
                    self._undo(undo)
                raise
            committed = committed or step.commits

    def _do(self, step: Step, undo: list[Step]) -> None:
        """Carry out a step; put the steps that undo it before the others."""
        if step.call and not self._call(step, step.call, undo):
            return
        undo[:0] = step.undo
        if step.wait:
            self._wait(step.wait, watched=step.watched)

    def _call(self, step: Step, call: Call, undo: list[Step]) -> bool:
        """Send a step's request; return whether it had an effect."""
        try:
            self.aws.call(call)
        except DeployError as error:
            if step.may_exist and error.kind is Kind.EXISTS:
                return False
            if step.may_miss and error.kind is Kind.MISSING:
                return False
            if error.kind not in AMBIGUOUS:
                raise
            if not self._has_begun(step, error):
                undo[:0] = step.undo  # it may have had an effect that can't be seen
                raise
        return True

    def _has_begun(self, step: Step, error: DeployError) -> bool:
        """Return whether AWS carried the request out all the same, as far as can be seen."""
        if step.wait is None:
            return False
        self.say(f"  {error}")
        self.clock.sleep(_POLL_S)
        return waits.has_begun(step.wait, self._poll(step.wait.endpoint))

    def _undo(self, steps: Sequence[Step]) -> None:
        for at, step in enumerate(steps):
            self.say(f"undo: {step.does}")
            try:
                self._do(step, [])
            except DeployError as error:
                left = "; ".join(each.does for each in steps[at:])
                self.say(f"undo failed: {error}")
                self.say(f"still to do (delete does it all): {left}")
                return

    def _wait(self, wait: Wait, *, watched: bool) -> None:
        started = said = self.clock.now()
        line = ""
        while True:
            live = self._poll(wait.endpoint)
            now, new = self.clock.now(), waits.progress(live)
            if new != line or now - said >= _REPEAT_S:
                self.say(f"  {now - started:.0f} s: {new}")
                line, said = new, now
            if waits.is_over(wait, live):
                return
            if now - started > wait.timeout_s:
                raise DeployError(Kind.TIMEOUT, f"after {wait.timeout_s} s the endpoint {new}")
            if watched:
                self.watch()
            self.clock.sleep(_POLL_S)

    def _poll(self, endpoint: str) -> Endpoint | None:
        for _ in range(_POLL_FAILURES):
            try:
                return self.aws.endpoint(endpoint)
            except DeployError as error:
                self.say(f"  {error}")
                if error.kind is Kind.CREDENTIALS:
                    raise
                self.clock.sleep(_POLL_S)
        raise DeployError(Kind.TIMEOUT, f"the state of endpoint {endpoint} can't be read")

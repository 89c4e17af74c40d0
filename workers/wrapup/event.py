"""The fields of `assist.wrapup`, as they are in Redis. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from workers.wrapup.checks import Checked, Sentence
from workers.wrapup.conversation import Conversation, Said
from workers.wrapup.jobs import Job

TYPE: Final = "assist.wrapup"


def fields_of(
    job: Job,
    conversation: Conversation,
    checked: Checked,
    *,
    said: Iterable[Said],
    made_from: str,
    model: str,
    writer: str,
    at: str,
) -> dict[str, str]:
    """Return the fields of a wrap-up.

    Args:
        job: why it was made.
        conversation: the call up to the event after which it is written.
        checked: what is published.
        said: the segments that it cites.
        made_from: raw or redacted.
        model: the model's name.
        writer: the worker's name.
        at: the time, RFC 3339.
    """
    cited = {each.number: _citation(each) for each in said}
    last = conversation.last
    fields = {
        "v": "1",
        "type": TYPE,
        "call_id": job.call_id,
        "stream_id": last.stream_id,
        "epoch": str(last.epoch),
        "n": str(conversation.source_n),
        "at": at,
        "gateway": writer,
        "tenant": conversation.tenant,
        "wrapup": job.wrapup,
        "made_from": made_from,
        "trigger": job.trigger.value,
        "model": model,
        "summary": _sentences(checked.summary, cited),
        "follow_ups": _sentences(checked.follow_ups, cited),
    }
    optional = {"route": conversation.route, "disposition": checked.disposition}
    return fields | {name: value for name, value in optional.items() if value}


def _sentences(sentences: Iterable[Sentence], cited: Mapping[int, dict[str, Any]]) -> str:
    listed = [
        {"text": each.text, "citations": [cited[number] for number in each.segments]}
        for each in sentences
    ]
    return msgspec.json.encode(listed).decode()


def _citation(said: Said) -> dict[str, Any]:
    segment = said.segment
    return {
        "stream_id": segment.stream_id,
        "track": segment.track,
        "segment": segment.segment,
        "start_ms": segment.start_ms,
        "end_ms": segment.end_ms,
    }

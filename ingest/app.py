"""The Lambda handler: every envelope that arrives is in the table when it answers, or it has raised.

    stored      it is in the table, for the first time
    duplicate   it was there already
    refused     no retry can cure it: it goes to the dead-letter queue with its reason, and is done with
    raised      anything else: Lambda, or the queue, tries again, and then dead-letters it

Without DEAD_LETTER_QUEUE_URL a refusal raises, too. Where the Lambda runtime parses the payload (everything but SQS),
the numbers of a detail are what a double holds; from a queue each digit is kept, as its message is text.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from eventsourcing_kit.delivery import as_text, envelopes_in, is_queue_batch
from eventsourcing_kit.errors import EventRefused
from eventsourcing_kit.stores import open_store
from ingest.letters import send
from ingest.report import Report
from ingest.settings import Settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from eventsourcing_kit.event import Event

__all__ = ["lambda_handler"]

IN_FLIGHT: Final = 8  # deliveries of one invocation that are worked on at once
ANSWER_WITHIN_MS: Final = 1_000  # kept back from the function's time, to say which deliveries were not done

logger = Logger(service="ingest")
metrics = Metrics(namespace="eventsourcing_kit", service="ingest")
metrics.set_default_dimensions(environment=os.environ.get("ENVIRONMENT", "none"))

_settings = Settings.of(os.environ)
_store = open_store(_settings.store_url)
_pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="ingest")


@logger.inject_lambda_context(log_event=False)
@metrics.log_metrics
def lambda_handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    """Answers the counts of outcomes, or for a batch of a queue the messages that have to come again."""
    deadline = time.monotonic() + (context.get_remaining_time_in_millis() - ANSWER_WITHIN_MS) / 1_000
    if is_queue_batch(event):
        return _ingest_batch(event, context, deadline)
    outcomes = _outcomes(_pool.submit(_ingest, event), deadline)
    return {name: outcomes.count(name) for name in ("stored", "duplicate", "refused")}


def _ingest_batch(event: dict[str, Any], context: LambdaContext, deadline: float) -> dict[str, Any]:
    """All messages at once, in the pool; Powertools then asks for the result of each, and answers the failed ones."""
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    work = {record["messageId"]: _pool.submit(_ingest, record["body"]) for record in event["Records"]}

    def outcomes_of(record: SQSRecord) -> list[str]:
        return _outcomes(work[record.message_id], deadline)

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    answer = process_partial_response(event=event, record_handler=outcomes_of, processor=processor, context=context)
    return dict(answer)


def _ingest(payload: Any) -> Report:
    """Stores one delivery: all of its envelopes are read before the first of them is stored.

    A refusal of any of them is the refusal of the whole delivery, which then goes to the dead-letter queue as it came.
    """
    report = Report()
    event: Event | None = None
    try:
        try:
            for event in [_settings.parsed(found) for found in envelopes_in(payload)]:
                report.ingested(event, _store.append(event))
        except EventRefused as refused:
            report.refused(refused, event)
            if _settings.dead_letters is None:
                raise
            send(_settings.dead_letters, as_text(payload), refused)
    except Exception as error:  # noqa: BLE001 - told, and raised again, where the invocation ends
        report.failed(error, event)
    return report


def _outcomes(work: Future[Report], deadline: float) -> list[str]:
    """Raises what the work raised, and TimeoutError behind the deadline: a put that is applied all the same is a
    duplicate when it comes again."""
    try:
        report = work.result(timeout=max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        work.cancel()
        logger.error("not done in time", extra={"outcome": "TimeoutError"})  # noqa: TRY400 - the runtime logs the trace
        metrics.add_metric("Failed", MetricUnit.Count, 1)
        raise
    report.tell(logger, metrics)
    if report.error is not None:
        raise report.error
    return report.outcomes

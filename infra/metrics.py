"""Every Prometheus metric of the system, by name. Labels are bounded: no job, host or tenant is ever one.

The process that knows a number sets it; a name that nothing sets does not belong here.
"""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from schemas.registry import KINDS, Consumer

# From a millisecond to ten hours: jobs are that different.
_WORK = (0.001, 0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 10800, 36000)
_WAIT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
_CONFIRM = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)
_BATCH = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500)
_HTTP = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)

# The front door.
http_request_duration_seconds = Histogram(
    "http_request_duration_seconds", "Time to answer a request.", ["route", "method", "status"], buckets=_HTTP
)
jobs_submitted_total = Counter("jobs_submitted_total", "Jobs committed.", ["kind", "via"])
jobs_refused_total = Counter("jobs_refused_total", "Jobs and requests refused because of load.", ["reason"])

event_listeners = Gauge("event_listeners", "Open event streams, and readers of the feed who wait.")

# The work.
jobs_queue_wait_seconds = Histogram(
    "jobs_queue_wait_seconds", "From queued to claimed, by the database's clock.", ["kind"], buckets=_WAIT
)
jobs_run_seconds = Histogram("jobs_run_seconds", "From claim to end of one attempt.", ["kind"], buckets=_WORK)
jobs_attempts_total = Counter("jobs_attempts_total", "Attempts that ended, by how.", ["kind", "reason"])
jobs_finished_total = Counter("jobs_finished_total", "Jobs that reached an end.", ["kind", "outcome"])
jobs_fenced_total = Counter("jobs_fenced_total", "Attempts that found their claim lost and wrote nothing.", ["kind"])
jobs_redelivered_total = Counter("jobs_redelivered_total", "Messages that the broker delivered again.")
jobs_stale_acks_dropped_total = Counter(
    "jobs_stale_acks_dropped_total", "Acknowledgements that were not sent because their channel is gone."
)
jobs_parked_total = Counter("jobs_parked_total", "Messages that nobody can process.", ["reason"])
messages_recorded_total = Counter("messages_recorded_total", "Parked messages written down.", ["queue"])
jobs_batch_size = Histogram("jobs_batch_size", "Jobs that the fast lane has in one transaction.", buckets=_BATCH)
jobs_worker_slots = Gauge("jobs_worker_slots", "Slots of this consumer.", ["state"])

# Publishing.
jobs_published_total = Counter("jobs_published_total", "Messages published, by their fate.", ["exchange", "result"])
jobs_confirm_seconds = Histogram("jobs_confirm_seconds", "From publish to the broker's confirm.", buckets=_CONFIRM)
jobs_publish_inflight = Gauge("jobs_publish_inflight", "Messages that wait for their confirm.")
jobs_broker_blocked = Gauge("jobs_broker_blocked", "1 while the broker refuses to read (an alarm).")

# The leader's view. A standby shows none of the gauges, so that a sum over all relays is right.
relay_leader = Gauge("relay_leader", "1 in the relay that leads.")
relay_duty_failures_total = Counter("relay_duty_failures_total", "Duties that failed, to be tried again.", ["duty"])
jobs_state = Gauge("jobs_state", "Live jobs.", ["consumer", "state"])
jobs_oldest_queued_seconds = Gauge("jobs_oldest_queued_seconds", "Age of the job that waits longest.", ["consumer"])
jobs_leases_expired_total = Counter("jobs_leases_expired_total", "Claims taken from silent consumers.", ["state"])
jobs_reconciled_total = Counter("jobs_reconciled_total", "Jobs whose message was lost.", ["consumer"])
jobs_held = Gauge("jobs_held", "Queued jobs that wait for a limit and not for a consumer.", ["reason"])
items_state = Gauge("items_state", "Items of the newest collections.", ["collection", "state"])
items_handled = Gauge("items_handled", "Items taken, run out or failed so far, by collection.", ["collection", "what"])
item_leases_open = Gauge("item_leases_open", "Leases that still hold items.", ["collection"])
item_lease_oldest_seconds = Gauge(
    "item_lease_oldest_seconds", "Age of the lease that has been open longest.", ["collection"]
)
events_published_total = Counter("events_published_total", "Events that went out, or that nobody heard.", ["result"])
webhook_deliveries_total = Counter("webhook_deliveries_total", "Attempts to deliver to webhooks.", ["result"])
messages_parked = Gauge("messages_parked", "Parked messages that nobody has dealt with, counted up to 10,000.")
webhook_deliveries_pending = Gauge("webhook_deliveries_pending", "Deliveries under way or to be tried again.")
events_lag_seconds = Gauge("events_lag_seconds", "Age of the oldest event that is not published.")
objects_corrupt_total = Counter("objects_corrupt_total", "Downloads whose bytes were not those of their id.")
objects_removed_total = Counter("objects_removed_total", "Objects removed from the store.", ["reason"])


@cache
def http_took(route: str, method: str, status: int) -> Histogram:
    """Where a request is counted. Remembered: finding it takes longer than counting."""
    return http_request_duration_seconds.labels(route, method, str(status))


def _begin() -> None:
    """What is rare stands at zero from the start: a name that appears with its first event has no rate then."""
    for kind in KINDS:
        jobs_fenced_total.labels(kind)
    for consumer in Consumer:
        jobs_reconciled_total.labels(consumer.value)
    for counter, values in (
        (jobs_refused_total, ("rate_limited", "backlog_full", "queue_full", "broker_blocked")),
        (jobs_leases_expired_total, ("queued", "failed", "cancelled")),
        (events_published_total, ("sent", "unheard")),
        (webhook_deliveries_total, ("delivered", "retried", "failed")),
        (objects_removed_total, ("erased", "orphan", "transfer")),
    ):
        for value in values:
            counter.labels(value)


_begin()

"""`/metrics` of the quote helper: the front keeps plain counters, which become Prometheus samples when scraped."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from confcom.quote_helper.front import TIME_BUCKETS, Front, Histogram
from confcom.quote_helper.seats import Seats
from confcom.quote_helper.self_check import SelfCheck

_LISTENER_COUNTS = {
    "left": "the client closed before its answer",
    "stalled": "the request was not whole in time",
    "oversized": "the frame claimed more than the limit",
    "accept_failed": "no descriptor for a new connection",
    "pressed": "accepting met the connection cap",
}


class Scrape(Protocol):
    """What is scraped."""

    front: Front
    seats: Seats
    check: SelfCheck

    def problem(self) -> str | None:
        """Why the helper is not ready, or None."""


class HelperCollector(Collector):
    """Reads a helper's counters at each scrape."""

    def __init__(self, helper: Scrape) -> None:
        self._helper = helper

    def collect(self) -> Iterator[Metric]:
        """All samples of one scrape."""
        yield from self._requests()
        yield from self._connections()
        yield from self._workers()
        front, seats = self._helper.front, self._helper.seats
        yield _gauge("queued_requests", "Requests that wait for a quote.", len(front.ring))
        yield _counter("dropped_requests", "Requests dropped: their client had gone.", front.ring.dropped)
        yield _gauge("serving", "1 if this helper serves the shared socket, 0 on standby.", int(seats.serving))
        yield _counter("take_overs", "Times that this helper took a socket path.", seats.take_overs)
        yield _gauge("ready", "1 if ready.", int(self._helper.problem() is None))
        outcome = self._helper.check.outcome
        yield _gauge("verified", "1 if the helper's own quote was verified.", int(bool(outcome and outcome.verified)))
        yield _gauge(
            "last_check_timestamp_seconds", "When the last self-check ended.", self._helper.check.checked_at or 0
        )
        yield self._ends(outcome.certificates if outcome else {})
        yield _histogram("queue_wait_seconds", "From the accepted connection to a worker.", front.queue_waits)
        yield _histogram("quote_seconds", "From the accepted connection to the quote.", front.waits)

    @staticmethod
    def _ends(certificates: Mapping[str, str]) -> Metric:
        family = GaugeMetricFamily(
            "confcom_quote_helper_end_timestamp_seconds",
            "When a certificate, CRL or collateral of the helper's own quote ends.", labels=("part",),
        )  # fmt: skip
        for part, end in certificates.items():
            family.add_metric((part,), datetime.fromisoformat(end).timestamp())
        return family

    def _requests(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "confcom_quote_helper_requests", "Answers by request, origin kind and AESM code.",
            labels=("type", "origin", "code"),
        )  # fmt: skip
        for (response, origin, code), count in sorted(self._helper.front.requests.items()):
            family.add_metric((response.removesuffix("Response"), origin, str(int(code))), count)
        yield family
        yield _counter("unparsable_requests", "Frames that hold no known request.", self._helper.front.unparsable)

    def _connections(self) -> Iterator[Metric]:
        listeners = self._helper.front.listeners
        yield _gauge("connections", "Open connections.", len(listeners.clients))
        yield _counter("accepted_connections", "Connections accepted.", listeners.counts["accepted"])
        family = CounterMetricFamily(
            "confcom_quote_helper_lost_connections",
            "Connections without an answer. " + "; ".join(": ".join(item) for item in _LISTENER_COUNTS.items()),
            labels=("cause",),
        )
        for cause in _LISTENER_COUNTS:
            family.add_metric((cause,), listeners.counts[cause])
        yield family

    def _workers(self) -> Iterator[Metric]:
        pool = self._helper.front.pool
        yield _gauge("workers", "Quoting workers configured.", pool.size)
        yield _gauge("workers_ready", "Quoting workers that have their key.", len(pool.ready_workers))
        yield _counter("worker_restarts", "Workers replaced.", pool.restarts)
        yield _counter("killer_requests", "Requests given up because each worker that had them died.", pool.killers)


def exposition(helper: Scrape) -> bytes:
    """The text of one scrape (Prometheus text format 0.0.4)."""
    registry = CollectorRegistry()
    registry.register(HelperCollector(helper))
    return generate_latest(registry)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"confcom_quote_helper_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"confcom_quote_helper_{name}", text, value=value)


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    buckets, below = [], 0
    for bound, count in zip((*TIME_BUCKETS, float("inf")), histogram.counts, strict=True):
        below += count
        buckets.append(("+Inf" if bound == float("inf") else str(bound), float(below)))
    return HistogramMetricFamily(f"confcom_quote_helper_{name}", text, buckets=buckets, sum_value=histogram.total)

"""Prometheus' library, imported without its HTTP servers: always ``from purelb.light_prometheus import ...``.

The page that shows metrics is page.py's, and what is on it exposition.py's.
"""

from __future__ import annotations

from purelb.imports import bare

with bare("prometheus_client"):
    from prometheus_client.gc_collector import GCCollector as GCCollector
    from prometheus_client.metrics import Counter as Counter
    from prometheus_client.metrics import Gauge as Gauge
    from prometheus_client.metrics import Histogram as Histogram
    from prometheus_client.metrics_core import CounterMetricFamily as CounterMetricFamily
    from prometheus_client.metrics_core import GaugeMetricFamily as GaugeMetricFamily
    from prometheus_client.metrics_core import Metric as Metric
    from prometheus_client.platform_collector import PlatformCollector as PlatformCollector
    from prometheus_client.process_collector import ProcessCollector as ProcessCollector
    from prometheus_client.registry import Collector as Collector
    from prometheus_client.registry import CollectorRegistry as CollectorRegistry
    from prometheus_client.samples import Sample as Sample
    from prometheus_client.utils import floatToGoString as floatToGoString

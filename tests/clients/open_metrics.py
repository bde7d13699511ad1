"""Fetches a scrape as OpenMetrics, gzipped, and reads it as strictly as the format's own library does.

    open_metrics.py URL

Prints a JSON object: how many families, samples, times of creation and exemplars there are.
"""

import gzip
import json
import sys
import urllib.request

from prometheus_client.openmetrics import parser

request = urllib.request.Request(
    sys.argv[1],
    headers={
        "Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
        "Accept-Encoding": "gzip",
    },
)
with urllib.request.urlopen(request, timeout=60) as response:
    assert response.headers["Content-Encoding"] == "gzip", response.headers
    assert response.headers["Content-Type"].startswith("application/openmetrics-text"), response.headers
    text = gzip.decompress(response.read()).decode()

families = list(parser.text_string_to_metric_families(text))
samples = [sample for family in families for sample in family.samples]
print(
    json.dumps(
        {
            "families": len(families),
            "samples": len(samples),
            "created": sum(sample.name.endswith("_created") for sample in samples),
            "exemplars": sum(sample.exemplar is not None for sample in samples),
        }
    )
)

"""From the caller to the endpoint: the queue, its thread, the counters, OTLP."""

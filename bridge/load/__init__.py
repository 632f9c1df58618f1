"""The latency lab: callers, probes, reports."""

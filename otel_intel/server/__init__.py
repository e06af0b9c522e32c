"""The embedded ClickHouse and the Collector beside it: started, found and stopped by their directory."""

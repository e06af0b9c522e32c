"""Read from ClickHouse: queries, metrics, health, export, the doctor."""
